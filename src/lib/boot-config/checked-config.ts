import { Failure, type FailureProblem } from '../failure/failure.js';
import type { JsonObject } from '../platform/json.js';
import { checkConfig, idleConfigKeys, unknownConfigKeys } from './config-check.js';
import { configValue } from './config-json.js';
import { deviceWarnings } from './config-warnings.js';
import { readJsonText } from './json-text.js';
import { placed, problemLine } from './problem.js';
import type { ConfigSource } from './read-config-source.js';

/** What a configuration is judged by, besides itself. */
export interface CheckOptions {
  /** The release of balenaOS that is to read it, where the image does not say. */
  readonly osVersion?: string | undefined;
  /** The slug of the device type that it must be for. */
  readonly deviceType?: string | undefined;
}

/** A configuration that was checked: all that is wrong with it, and what is only doubtful. */
export interface CheckedConfig {
  readonly name: string;
  readonly problems: readonly FailureProblem[];
  readonly warnings: readonly string[];
}

/** Checks the config.json of an image, a drive or a file; what is wrong with it is told and is no failure. */
export function checkConfigSource(source: ConfigSource, options: CheckOptions = {}): CheckedConfig {
  const { name, kind, bytes } = source;
  const file = kind === 'file' ? name : 'config.json';
  if (bytes === undefined) {
    const message = 'there is no config.json, so the device would neither know its device type nor keep anything';
    return { name, problems: [{ file, pointer: '', message }], warnings: source.warnings };
  }
  const text = parsed(bytes, file);
  if ('problem' in text) return { name, problems: [text.problem], warnings: source.warnings };
  const { value, locate, oddities } = text;
  const os = {
    ...source.os,
    ...(options.osVersion === undefined ? {} : { osName: 'balenaOS', osVersion: options.osVersion }),
  };
  const problems = [...oddities, ...checkConfig(value), ...wrongDeviceType(value, options.deviceType)];
  const warnings = [...unknownConfigKeys(value), ...idleConfigKeys(value, os)].map((problem) =>
    problemLine(placed(problem, file, locate(problem.path))),
  );
  // A file that only lies over a config.json says nothing of the whole.
  const isWhole = kind !== 'file' || configValue(value, 'deviceType') !== undefined;
  const hasOldWifi = ['wifiSsid', 'wifiKey'].some((key) => configValue(value, key) !== undefined);
  return {
    name,
    problems: problems.map((problem) => placed(problem, file, locate(problem.path))),
    warnings: [
      ...source.warnings,
      ...warnings,
      ...(hasOldWifi ? ['wifiSsid and wifiKey have no effect since OS 2.0: add a network with --wifi-ssid'] : []),
      ...(isWhole ? deviceWarnings(value, source.os) : []),
    ],
  };
}

function wrongDeviceType(config: JsonObject, slug: string | undefined) {
  const own = configValue(config, 'deviceType');
  if (slug === undefined || own === slug) return [];
  return [{ path: own === undefined ? [] : ['deviceType'], message: `must be for the device type ${slug}` }];
}

/** Reads the JSON of a config.json; what is wrong with it stands in the failure's own problem. */
function parsed(bytes: Uint8Array, file: string) {
  try {
    return readJsonText(bytes, 'it', (message, at) => {
      const place = at && { line: at.line, column: at.column };
      const what = at === undefined ? message : `it is not valid JSON: ${at.problem}`;
      const problem: FailureProblem = { file, ...place, pointer: '', message: what };
      return new Failure('usage', 'invalid-config', problemLine(problem), { problems: [problem] });
    });
  } catch (error) {
    const problem = error instanceof Failure ? error.problems[0] : undefined;
    if (problem === undefined) throw error;
    return { problem };
  }
}
