import { isJsonObject, type Json, type JsonObject } from '../platform/json.js';

/** One key of config.json that a plan adds, changes or removes; the key is a dotted path. */
export interface ConfigChange {
  readonly key: string;
  readonly before: Json | undefined;
  readonly after: Json | undefined;
}

/** Lays changes over a configuration as JSON Merge Patch does (RFC 7396): objects are merged, null removes, everything else replaces. */
export function mergePatch(config: JsonObject, patch: JsonObject): JsonObject {
  const merged = new Map<string, Json>(Object.entries(config));
  for (const [key, value] of Object.entries(patch)) {
    const existing = merged.get(key);
    if (value === null) merged.delete(key);
    else if (isJsonObject(value)) merged.set(key, mergePatch(isJsonObject(existing) ? existing : {}, value));
    else merged.set(key, value);
  }
  return Object.fromEntries(merged);
}

/** The value at a dotted path, or undefined. */
export function configValue(config: JsonObject, path: string): Json | undefined {
  let value: Json | undefined = config;
  for (const key of path.split('.')) value = isJsonObject(value) ? ownValue(value, key) : undefined;
  return value;
}

function ownValue(config: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(config, key) ? config[key] : undefined;
}

/** What differs between two configurations, leaf by leaf, in the order of their keys. */
export function configChanges(before: JsonObject, after: JsonObject, prefix = ''): ConfigChange[] {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return keys.flatMap((key) => {
    const [old, now] = [ownValue(before, key), ownValue(after, key)];
    if (isJsonObject(old) && isJsonObject(now)) return configChanges(old, now, `${prefix}${key}.`);
    if (JSON.stringify(old) === JSON.stringify(now)) return [];
    return [{ key: prefix + key, before: old, after: now }];
  });
}
