import type { JsonObject } from '../platform/json.js';
import { type ConfigKey, configKeys } from './config-keys.js';

/** JSON Schema of config.json; keys that are not known are allowed. */
export function configSchema(): JsonObject {
  const entries = Object.entries(configKeys).map(([key, one]) => ({ path: key.split('.'), schema: keySchema(one) }));
  return groupSchema(entries);
}

/** JSON Schema of config.json as a document of its own. */
export function configSchemaDocument(): JsonObject {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'config.json of balenaOS',
    ...configSchema(),
  };
}

/** When a change of a key counts, as a sentence. */
export function effectOf({ takesEffect, restarts = [] }: ConfigKey): string {
  if (takesEffect === 'never') return 'Not read since OS 2.0.';
  const services = restarts.length === 0 ? '' : ` and restarts ${restarts.join(', ')}`;
  // The engine stops its containers when it restarts.
  const interruption = restarts.includes('balena') ? ', which interrupts the containers' : '';
  return `Takes effect ${takesEffect}${services}${interruption}.`;
}

interface KeySchema {
  readonly path: readonly string[];
  readonly schema: JsonObject;
}

function groupSchema(entries: readonly KeySchema[]): JsonObject {
  const names = [...new Set(entries.map(({ path }) => path[0] ?? ''))];
  const properties = names.map((name) => {
    const own = entries
      .filter(({ path }) => path[0] === name)
      .map(({ path, schema }) => ({ path: path.slice(1), schema }));
    return [name, own[0]?.path.length === 0 ? own[0].schema : groupSchema(own)] as const;
  });
  return { type: 'object', properties: Object.fromEntries(properties) };
}

function keySchema(key: ConfigKey): JsonObject {
  const { meaning, since, otherwise, shape, isSecret } = key;
  const sentences = [
    meaning,
    ...(since === undefined ? [] : [`Since balenaOS ${since}.`]),
    effectOf(key),
    ...(otherwise === undefined ? [] : [`Without it: ${otherwise}.`]),
  ];
  return {
    description: sentences.join(' '),
    ...(isSecret ? { writeOnly: true } : {}),
    ...(key.default === undefined ? {} : { default: key.default }),
    ...(key.example === undefined ? {} : { examples: [key.example] }),
    ...shape.schema,
  };
}
