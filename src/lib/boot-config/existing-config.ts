import { Failure } from '../failure/failure.js';
import type { JsonObject } from '../platform/json.js';
import { type JsonText, readJsonText } from './json-text.js';
import type { OsFacts } from './os-facts.js';

/** A config.json as it is, or what stands in for one that is missing or no JSON. */
export interface ExistingConfig extends Omit<JsonText, 'value'> {
  readonly config: JsonObject;
  /** Why it is made anew, where it is; the text is empty then. */
  readonly madeAnew?: string;
}

/** What is read as a config.json. */
export interface ReadConfigOptions {
  /** What it is called: "config.json in the image". */
  readonly what: string;
  readonly os: Pick<OsFacts, 'deviceType'>;
  /** Whether one that is not JSON is made anew, instead of being a failure. */
  readonly replacesBroken: boolean;
}

/** Reads a config.json; undefined is one that is not there. Fails with `invalid-json`. */
export function readExistingConfig(bytes: Uint8Array | undefined, options: ReadConfigOptions): ExistingConfig {
  const { what, os, replacesBroken } = options;
  const config = os.deviceType === undefined ? {} : { deviceType: os.deviceType.slug };
  const anew = { config, text: '', locate: () => undefined, oddities: [] };
  if (bytes === undefined) return { ...anew, madeAnew: 'the image had no config.json; one was made' };
  try {
    const { value, ...written } = readJsonText(bytes, what, brokenConfig);
    return { config: value, ...written };
  } catch (error) {
    if (!replacesBroken || !(error instanceof Failure)) throw error;
    return { ...anew, madeAnew: `${error.message}; it is replaced as a whole` };
  }
}

function brokenConfig(message: string): Failure {
  return new Failure('failed', 'invalid-json', message, {
    hint: 'Put a good one in its place with: davit config write <image> --from <file>',
  });
}
