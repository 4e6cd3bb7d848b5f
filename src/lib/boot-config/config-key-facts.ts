import { Failure } from '../failure/failure.js';
import type { Json, JsonObject } from '../platform/json.js';
import { nearestName } from '../platform/nearest-name.js';
import { configKeys } from './config-keys.js';
import { parseConfigPath, pathText, shapeAt } from './config-path.js';
import { effectOf } from './config-schema.js';

/** What is known of one key of config.json, or of a group of them. */
export interface ConfigKeyFacts {
  readonly key: string;
  readonly meaning: string;
  /** What a value must be, in words. */
  readonly type: string;
  /** The first balenaOS release that reads it. */
  readonly since: string | null;
  readonly isSecret: boolean;
  /** When a change counts on a device that runs, and what restarts then. */
  readonly effect: string;
  readonly default: Json;
  /** What holds without it, where that is no fixed value. */
  readonly otherwise: string | null;
  readonly example: Json;
  readonly schema: JsonObject;
}

/** What is known of the keys at a path: of the key itself, or of all keys of a group such as `os.network`. Fails with `config-key-not-found`. */
export function configKeyFacts(word: string): readonly ConfigKeyFacts[] {
  const path = parseConfigPath(word);
  const text = pathText(path);
  const inGroup = Object.keys(configKeys).filter((key) => key.startsWith(`${text}.`));
  if (inGroup.length > 0) return inGroup.flatMap((key) => factsOf(key.split('.')) ?? []);
  const facts = factsOf(path);
  if (facts !== undefined) return [facts];
  const near =
    nearestName(text, Object.keys(configKeys)) ?? Object.keys(configKeys).find((key) => key.endsWith(`.${text}`));
  throw new Failure('not-found', 'config-key-not-found', `config.json has no known key ${JSON.stringify(word)}`, {
    hint: near === undefined ? 'See all keys with: davit config schema --keys' : `Did you mean ${near}?`,
  });
}

/** What is known of all keys. */
export function allConfigKeyFacts(): readonly ConfigKeyFacts[] {
  return Object.keys(configKeys).flatMap((key) => factsOf(key.split('.')) ?? []);
}

function factsOf(path: readonly string[]): ConfigKeyFacts | undefined {
  const lengths = path.map((_, index) => index + 1);
  const known = lengths.map((length) => path.slice(0, length).join('.')).find((key) => Object.hasOwn(configKeys, key));
  const key = known === undefined ? undefined : configKeys[known];
  const shape = shapeAt(path);
  if (known === undefined || key === undefined || shape === undefined) return undefined;
  const isWhole = known === path.join('.');
  return {
    key: pathText(path),
    meaning: key.meaning,
    type: typeText(
      shape.problems(null, []).map(({ message }) => message),
      shape.schema,
    ),
    since: key.since ?? null,
    isSecret: key.isSecret === true,
    effect: effectOf(key),
    default: isWhole ? (key.default ?? null) : null,
    otherwise: isWhole ? (key.otherwise ?? null) : null,
    example: isWhole ? (key.example ?? null) : null,
    schema: shape.schema,
  };
}

/** What a shape says of a value that it does not take. */
function typeText([message = 'must be any JSON value']: readonly string[], { minimum, maximum }: JsonObject): string {
  const text = message.replace(/^must be /, '');
  return minimum === undefined || maximum === undefined ? text : `${text} (${Number(minimum)} to ${Number(maximum)})`;
}
