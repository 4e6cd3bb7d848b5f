import { Failure } from '../failure/failure.js';
import type { JsonObject } from '../platform/json.js';
import {
  answered,
  type BootConfigurationRequest,
  hasQuestions,
  layersOf,
  planAnswered,
  requireOneHostname,
  withStandIns,
} from './boot-configuration-request.js';
import { changedConfig, requireGoodValues } from './changed-config.js';
import { idleConfigKeys } from './config-check.js';
import { configChanges, configValue } from './config-json.js';
import { deviceWarnings, editWarnings } from './config-warnings.js';
import { problemText } from './problem.js';

/** What a config.json is made from. */
export interface GenerateOptions {
  readonly settings: BootConfigurationRequest;
  /** A file that is merged in, and edits; they come after the settings. */
  readonly edits: Pick<BootConfigurationRequest, 'config' | 'edits' | 'warnings' | 'later'>;
  /** The slug of the device type; what the request says of it counts without one. */
  readonly deviceType: string | undefined;
  /** The release of balenaOS that is to read it. */
  readonly osVersion: string | undefined;
}

/** A config.json that was made. */
export interface GeneratedConfig {
  readonly config: JsonObject;
  readonly text: string;
  readonly warnings: readonly string[];
}

/** Makes a config.json without an image: unmanaged, unless the request says which cloud manages the device. Fails with `device-type-needed`. */
export async function generateConfig({ settings, edits, ...options }: GenerateOptions): Promise<GeneratedConfig> {
  const known = merged(withStandIns(settings), withStandIns(edits));
  const isAsked = hasQuestions(settings) || hasQuestions(edits);
  const later = async () => merged(await answered(settings), await answered(edits));
  return planAnswered(isAsked ? { ...known, later } : known, (request) => generated(request, options));
}

function merged(settings: BootConfigurationRequest, edits: GenerateOptions['edits']): BootConfigurationRequest {
  return { ...settings, ...edits, warnings: [...(settings.warnings ?? []), ...(edits.warnings ?? [])] };
}

function generated(
  request: BootConfigurationRequest,
  { deviceType, osVersion }: Pick<GenerateOptions, 'deviceType' | 'osVersion'>,
): GeneratedConfig {
  const layers = layersOf(request);
  requireOneHostname(layers);
  const own = deviceType === undefined ? {} : { deviceType };
  const config: JsonObject = { ...layers.reduce(changedConfig, { deviceType: deviceType ?? '' }), ...own };
  if (configValue(config, 'deviceType') === '') {
    throw new Failure('usage', 'device-type-needed', 'a config.json must say which device type it is for', {
      hint: 'Give it with --device-type, such as raspberrypi4-64',
    });
  }
  requireGoodValues(config, configChanges({}, config));
  const os = { ...(osVersion === undefined ? {} : { osName: 'balenaOS', osVersion }) };
  return {
    config,
    text: `${JSON.stringify(config, null, 2)}\n`,
    warnings: [
      ...layers.flatMap((layer) => [...(layer.warnings ?? []), ...beyondConfig(layer)]),
      ...layers.flatMap((layer) => editWarnings(layer.edits ?? [], {})),
      ...idleConfigKeys(config, os).map((problem) => problemText(problem)),
      ...deviceWarnings(config, {}),
    ],
  };
}

/** What a request asks for that is no part of config.json. */
function beyondConfig({ connections = [], files = [], splash, configTxt = [] }: BootConfigurationRequest): string[] {
  const parts = [
    ...(connections.length === 0 ? [] : ['networks']),
    ...(files.length === 0 ? [] : ['files']),
    ...(splash === undefined ? [] : ['the splash logo']),
    ...(configTxt.length === 0 ? [] : ['lines of config.txt']),
  ];
  return parts.length === 0
    ? []
    : [`${parts.join(', ')} of the profile are not in it: os configure puts them into an image`];
}
