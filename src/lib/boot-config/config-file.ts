import { Failure, type FailureProblem } from '../failure/failure.js';
import type { JsonObject } from '../platform/json.js';
import { readUserFile } from '../platform/read-user-file.js';
import { checkConfig, unknownConfigKeys } from './config-check.js';
import { readJsonText } from './json-text.js';
import { placed, problemLine, problemText } from './problem.js';

/** Keys for config.json as they were read from a file. */
export interface ConfigFile {
  readonly config: JsonObject;
  /** Keys that the OS is not known to read, with their places. */
  readonly warnings: readonly string[];
}

/** Reads a file of the user's with keys for config.json, and checks all that can be checked without the image. */
export async function readConfigFile(file: string, signal?: AbortSignal): Promise<ConfigFile> {
  const { bytes } = await readUserFile(file, { what: 'the configuration', signal });
  return parseConfigFile(bytes, file);
}

/** The same for what such a file holds; `file` is its name for failures. */
export function parseConfigFile(bytes: Uint8Array, file: string): ConfigFile {
  const { value: config, locate, oddities } = readJsonText(bytes, file, invalidConfigFile);
  const problems = [...oddities.filter(({ path }) => path.length > 0), ...checkConfig(config)].map((problem) =>
    placed(problem, file, locate(problem.path)),
  );
  if (problems.length > 0) throw invalidConfig(problems, 'Correct the file at these places');
  const warnings = unknownConfigKeys(config).map((problem) => problemText(problem, file, locate(problem.path)));
  return { config, warnings };
}

/** The failure for settings that the OS would not understand. */
export function invalidConfig(problems: readonly FailureProblem[], hint: string, report?: object): Failure {
  const details = { hint, problems, ...(report === undefined ? {} : { report }) };
  return new Failure('usage', 'invalid-config', problems.map(problemLine).join('\n'), details);
}

function invalidConfigFile(message: string): Failure {
  return new Failure('usage', 'invalid-config-file', message, { hint: 'Correct the file at that place' });
}
