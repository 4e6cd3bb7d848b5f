import { isJsonObject, type JsonObject } from '../platform/json.js';
import { configKeys } from './config-keys.js';
import { configValue, mergePatch } from './config-json.js';
import { isBalenaOs, isOlderThan, type OsFacts } from './os-facts.js';
import type { Path, Problem } from './problem.js';
import { notKnown } from './shape.js';

/** Objects that only hold known keys: `os`, `os.network`, `installer`, ... */
const groups: ReadonlySet<string> = new Set(
  Object.keys(configKeys).flatMap((key) => {
    const parts = key.split('.');
    return parts.slice(0, -1).map((_, index) => parts.slice(0, index + 1).join('.'));
  }),
);

/**
 * Checks the values of known keys, and combinations of them that lock everybody out. Keys that are not known are not judged, and neither
 * is null, which removes a key when it is laid over a configuration.
 */
export function checkConfig(patch: JsonObject): Problem[] {
  const config = mergePatch({}, patch);
  const values = Object.entries(configKeys).flatMap(([key, { shape }]) => {
    const value = configValue(config, key);
    return value === undefined ? [] : shape.problems(value, key.split('.'));
  });
  const misplaced = [...groups].flatMap((group) => {
    const value = configValue(config, group);
    const isGood = value === undefined || isJsonObject(value);
    return isGood ? [] : [{ path: group.split('.'), message: 'must be an object' }];
  });
  return [...misplaced, ...values, ...badCombinations(config)];
}

/** Keys that neither the OS, its Supervisor nor the cloud's generators are known to use: most likely mistyped, unless they are removed. */
export function unknownConfigKeys(config: JsonObject, group: Path = []): Problem[] {
  const prefix = group.length === 0 ? '' : `${group.join('.')}.`;
  const siblings = [...Object.keys(configKeys), ...groups]
    .filter((key) => key.startsWith(prefix))
    .map((key) => key.slice(prefix.length).split('.')[0] ?? '');
  return Object.entries(config).flatMap(([key, value]) => {
    const path = [...group, key];
    const name = prefix + key;
    if (value === null) return [];
    if (groups.has(name)) return isJsonObject(value) ? unknownConfigKeys(value, path) : [];
    return Object.hasOwn(configKeys, name) ? [] : [{ path, message: elsewhere(key) ?? notKnown(key, siblings) }];
  });
}

/** A key at the wrong depth, such as `sshKeys` outside of `os`. */
function elsewhere(key: string): string | undefined {
  const full = Object.keys(configKeys).find((known) => known.endsWith(`.${key}`));
  return full === undefined ? undefined : `is not a known key: did you mean /${full.replaceAll('.', '/')}?`;
}

/** Keys that an image's OS is too old for, or too new, or not the right one. */
export function idleConfigKeys(config: JsonObject, os: Partial<OsFacts>): Problem[] {
  const board = os.deviceType?.slug ?? configValue(config, 'deviceType');
  return Object.entries(configKeys).flatMap(([key, { since, takesEffect, boards }]) => {
    if (configValue(config, key) === undefined) return [];
    const path = key.split('.');
    if (isBalenaOs(os) && since !== undefined && isOlderThan(os.osVersion, since)) {
      return [{ path, message: `has no effect before balenaOS ${since}, and this is ${os.osVersion ?? 'older'}` }];
    }
    if (takesEffect === 'in a flasher' && os.kind === 'direct') {
      return [{ path, message: 'has no effect: only flasher images read it, and this is none' }];
    }
    if (boards !== undefined && typeof board === 'string' && !boards.slug.test(board)) {
      return [{ path, message: `has no effect: only ${boards.what} read it, and this is for ${board}` }];
    }
    return [];
  });
}

/** Whether a configuration switches development mode on; old files have it as text. */
export function isDevelopment(config: JsonObject): boolean {
  const value = configValue(config, 'developmentMode');
  return value === true || value === 'true';
}

function badCombinations(config: JsonObject): Problem[] {
  const sshKeys = configValue(config, 'os.sshKeys');
  const locksOut = isDevelopment(config) && Array.isArray(sshKeys) && sshKeys.length === 0;
  return locksOut
    ? [
        {
          path: ['os', 'sshKeys'],
          because: ['developmentMode'],
          message:
            'must not be an empty list in development mode: passwords are refused then too, and nobody can log in',
        },
      ]
    : [];
}
