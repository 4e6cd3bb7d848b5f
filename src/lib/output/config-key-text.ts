import type { ConfigKeyFacts } from '../boot-config/config-key-facts.js';
import type { Json } from '../platform/json.js';
import { tableLines } from './table.js';

/** Everything that is known of one key, line by line. */
export function configKeyLines(facts: ConfigKeyFacts): string[] {
  const { key, meaning, type, since, isSecret, effect, otherwise, example } = facts;
  const without = otherwise ?? (facts.default === null ? undefined : JSON.stringify(facts.default));
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['type', type],
    ['since', since === null ? undefined : `balenaOS ${since}`],
    ['secret', isSecret ? 'yes: never shown, and never taken from a command line' : undefined],
    ['effect', effect],
    ['without', without],
    ['example', example === null ? undefined : exampleText(key, example)],
  ];
  const given = rows.flatMap(([name, text]) => (text === undefined ? [] : [`  ${`${name}:`.padEnd(9)} ${text}`]));
  return [key, `  ${meaning}`, ...given];
}

/** A table of keys. */
export function configKeyTable(keys: readonly ConfigKeyFacts[]): string[] {
  return tableLines(
    ['key', 'type', 'since', 'meaning'],
    keys.map(({ key, type, since, meaning }) => [key, type, since ?? '', meaning]),
  );
}

function exampleText(key: string, example: Json): string {
  // A list is rarely set as a whole.
  const [path, one]: readonly [string, Json] = isList(example) ? [`${key}.+`, example[0] ?? null] : [key, example];
  const value = typeof one === 'string' ? one : JSON.stringify(one);
  return `davit config write device.img ${path} ${/^[\w.-]+$/.test(value) ? value : `'${value}'`}`;
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
