import { isJsonObject, type Json, type JsonObject } from '../platform/json.js';
import { configKeys } from './config-keys.js';
import type { Keyfile } from './keyfile.js';
import { hidden, isSecretConfigKey, isSecretConnectionValue } from './secret-names.js';
import { textWithoutSecrets } from './secret-text.js';

/** A copy of a configuration in which no secret can be read: API keys, Wi-Fi keys, passwords, and the files of OS 1.x. */
export function withoutSecrets(config: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [key, withoutSecret(key, value)]));
}

/** One value of a configuration, hidden if its key (which may be a dotted path) names a secret. */
export function withoutSecret(path: string, value: Json): Json {
  if (isSecretAt(path.split('.'))) return hideLeaves(value);
  if (typeof value === 'string') return textWithoutSecrets(value);
  if (Array.isArray(value)) return value.map((item: Json) => withoutSecret(path, item));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, withoutSecret(`${path}.${key}`, one)]));
}

/** Whether a value of a configuration is a secret, or has one inside, by what its keys are called. */
export function holdsSecret(path: readonly string[], value: Json): boolean {
  if (isSecretAt(path)) return true;
  const inside = Array.isArray(value) || isJsonObject(value) ? Object.entries<Json>(value) : [];
  return inside.some(([key, one]) => holdsSecret([...path, key], one));
}

function isSecretAt(path: readonly string[]): boolean {
  const isKnown = path.some((_, index) => configKeys[path.slice(0, index + 1).join('.')]?.isSecret);
  return isKnown || path.some(isSecretConfigKey);
}

/** The sections of a connection with the secret values hidden and the others as they are written. */
export function connectionWithoutSecrets(keyfile: Keyfile): Record<string, Record<string, string>> {
  const settings = [...keyfile].map(([section, keys]) => {
    const shown = [...keys].map(
      ([key, value]) => [key, isSecretConnectionValue(section, key, value) ? hidden : value] as const,
    );
    return [section, Object.fromEntries(shown)] as const;
  });
  return Object.fromEntries(settings);
}

function hideLeaves(value: Json): Json {
  if (!isJsonObject(value)) return value === null ? null : hidden;
  return Object.fromEntries(Object.keys(value).map((key) => [key, hidden]));
}
