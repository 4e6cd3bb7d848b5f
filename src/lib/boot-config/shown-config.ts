import { Failure } from '../failure/failure.js';
import { shellWord } from '../platform/shell-word.js';
import type { Json, JsonObject } from '../platform/json.js';
import { configKeys } from './config-keys.js';
import { configOf } from './config-differences.js';
import { parseConfigPath, pathText, valueAt } from './config-path.js';
import { editedJson } from './json-edit.js';
import { laidOutJson } from './json-layout.js';
import type { ConfigSource } from './read-config-source.js';
import { withoutSecrets } from './secrets.js';

/** A configuration, or one value of it, to be shown. */
export interface ShownConfig {
  readonly value: Json;
  /** The same as text: laid out, with numbers as they are written; a single text is that text itself. */
  readonly text: string;
  readonly isHidden: boolean;
}

/** How a configuration is shown. */
export interface ShowOptions {
  /** The path of one value; without it, everything is shown. */
  readonly key?: string | undefined;
  readonly showsSecrets: boolean;
}

/** Shows the config.json of a source. Fails with `config-not-found`, `config-key-not-set` and `invalid-json`. */
export function shownConfig(source: ConfigSource, { key, showsSecrets }: ShowOptions): ShownConfig {
  const { config, text } = readableConfig(source);
  const shown = showsSecrets ? config : withoutSecrets(config);
  const isHidden = JSON.stringify(shown) !== JSON.stringify(config);
  const shownText = isHidden ? editedJson(text, shown) : text;
  if (key === undefined) return { value: shown, text: laidOutJson(shownText) ?? '{}', isHidden };
  const path = parseConfigPath(key);
  const value = valueAt(shown, path);
  if (value === undefined) throw notSet(source.name, path);
  const own = typeof value === 'string' ? value : (laidOutJson(shownText, path) ?? JSON.stringify(value));
  const isOwnHidden = JSON.stringify(value) !== JSON.stringify(valueAt(config, path));
  return { value, text: own, isHidden: isOwnHidden };
}

/** The config.json of a source that has one. Fails with `config-not-found` and `invalid-json`. */
export function readableConfig(source: ConfigSource): { readonly config: JsonObject; readonly text: string } {
  if (source.bytes !== undefined) return configOf(source);
  throw new Failure('not-found', 'config-not-found', `there is no config.json in ${source.name}`, {
    hint: 'Any davit config write makes one, with the device type of the image',
  });
}

function notSet(name: string, path: readonly string[]): Failure {
  const key = pathText(path);
  const { otherwise, default: value } = configKeys[key] ?? {};
  const instead = otherwise ?? (value === undefined ? undefined : JSON.stringify(value));
  return new Failure('not-found', 'config-key-not-set', `${name} does not set ${key}`, {
    hint:
      instead === undefined
        ? `See all that it sets with: davit config read ${shellWord(name)}`
        : `Without it the OS takes: ${instead}`,
  });
}
