import { hidden } from '../boot-config/secret-names.js';
import { withoutSecret } from '../boot-config/secrets.js';
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js';

/** Short ones would hide words that are none. */
const fewestCharacters = 6;

/** What hides in a text all that is secret in configurations. */
export function secretMask(configs: readonly JsonObject[]): (text: string) => string {
  const secrets = [...new Set(configs.flatMap((config) => secretsIn('', config)))];
  // One may begin as another one does.
  const longestFirst = secrets.toSorted((one, other) => other.length - one.length);
  return (text) => longestFirst.reduce((masked, secret) => masked.replaceAll(secret, hidden), text);
}

function secretsIn(path: string, value: Json): string[] {
  if (Array.isArray(value) || isJsonObject(value)) {
    return Object.entries<Json>(value).flatMap(([key, one]) => secretsIn(path === '' ? key : `${path}.${key}`, one));
  }
  return typeof value === 'string' && value.length >= fewestCharacters && withoutSecret(path, value) === hidden
    ? [value]
    : [];
}
