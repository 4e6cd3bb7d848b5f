import { isJsonObject, type Json, type JsonObject } from '../platform/json.js';
import { nearestName } from '../platform/nearest-name.js';
import { isDevelopment, unknownConfigKeys } from './config-check.js';
import type { ConfigEdit } from './config-edit.js';
import { configValue } from './config-json.js';
import { pathText, valueAt } from './config-path.js';
import type { OsFacts } from './os-facts.js';
import { type Path, problemText } from './problem.js';

/** What a device could not do with a configuration, though each value is good. */
export function deviceWarnings(config: JsonObject, os: Pick<OsFacts, 'deviceType'>): string[] {
  const has = (key: string) => (configValue(config, key) ?? null) !== null;
  const sshKeys = configValue(config, 'os.sshKeys');
  const deviceType = configValue(config, 'deviceType');
  const hasNoKeys = !Array.isArray(sshKeys) || sshKeys.length === 0;
  const isManaged = has('apiEndpoint');
  return told([
    [
      !isDevelopment(config) && hasNoKeys && !isManaged,
      'nobody will be able to log in: production mode without an SSH key; --ssh-key and --dev of os configure and flash change that',
    ],
    [
      typeof deviceType === 'string' && os.deviceType !== undefined && deviceType !== os.deviceType.slug,
      `deviceType in config.json is ${JSON.stringify(deviceType)}, but the image is for ${os.deviceType?.slug ?? 'another'}`,
    ],
    [
      isManaged && !has('apiKey') && !has('deviceApiKey'),
      'the device will not be able to register: apiEndpoint without apiKey or deviceApiKey',
    ],
    [!isManaged && has('apiKey'), 'apiKey has no use without apiEndpoint: the device will not be managed'],
    [
      has('os.network.connectivity') && !has('os.network.connectivity.uri') && !isManaged,
      'os.network.connectivity has no effect without its uri: an unmanaged device asks nobody',
    ],
    [
      isManaged && has('deviceApiKey') && !has('uuid'),
      'deviceApiKey has no use without the uuid that it was made for: the device will make another one',
    ],
  ]);
}

/** Keys that a device gets when it registers with a cloud. */
const registration = ['deviceApiKey', 'deviceId', 'registered_at'] as const;

/** What goes wrong with a device that is moved to another cloud with what the old one gave it. */
export function moveWarnings(before: JsonObject, after: JsonObject): string[] {
  const [old, now] = [configValue(before, 'apiEndpoint'), configValue(after, 'apiEndpoint')];
  const stale = registration.filter((key) => {
    const value = configValue(after, key);
    return value !== undefined && value === configValue(before, key);
  });
  const words = stale.map((key) => `--delete ${key}`).join(' ');
  return told([
    [
      old !== undefined && now !== undefined && old !== now && stale.length > 0,
      `apiEndpoint changes, but ${stale.join(', ')} of the old cloud stay, so the device will not register with the new one: ` +
        `remove them with davit config write <image> ${words}`,
    ],
  ]);
}

/** Edits that most likely do not mean what they say: keys that nothing reads, and removals of what is not there. */
export function editWarnings(edits: readonly ConfigEdit[], before: JsonObject): string[] {
  return edits.flatMap((edit) => {
    if ('value' in edit) return unknownConfigKeys(nested(edit.path, edit.value)).map((problem) => problemText(problem));
    if (valueAt(before, edit.path) !== undefined) return [];
    const near = nearestName(pathText(edit.path), placesIn(before).map(pathText));
    const question = near === undefined ? '' : `: did you mean ${near}?`;
    return [`${pathText(edit.path)} is not there, so there is nothing to remove${question}`];
  });
}

/** An object with nothing but a value at a path. */
function nested(path: Path, value: Json): JsonObject {
  const whole = path.reduceRight<Json>((inner, part) => Object.fromEntries([[String(part), inner]]), value);
  return isJsonObject(whole) ? whole : {};
}

/** The paths of all keys in a configuration. */
function placesIn(config: JsonObject, path: readonly string[] = []): (readonly string[])[] {
  return Object.entries(config).flatMap(([key, value]) => {
    const at = [...path, key];
    return [at, ...(isJsonObject(value) ? placesIn(value, at) : [])];
  });
}

function told(warnings: readonly (readonly [boolean, string])[]): string[] {
  return warnings.flatMap(([applies, text]) => (applies ? [text] : []));
}
