import { isJsonObject, type Json, type JsonObject } from '../platform/json.js';
import type { BootConfigurationRequest } from './boot-configuration-request.js';
import { changedConfig } from './changed-config.js';
import { configKeys } from './config-keys.js';
import { parseConfigPath, valueAt } from './config-path.js';
import { pointerTo } from './problem.js';
import { withoutSecret } from './secrets.js';

/** Where a value of a configuration comes from, the weakest last: what wins over what. */
export type Origin = 'flag' | 'environment' | 'profile' | 'image' | 'default';

/** A value of a configuration that is neither an object nor a list, or an empty one, and where it comes from. */
export interface ConfigOrigin {
  readonly path: readonly string[];
  /** Null for a default that is no value. */
  readonly value: Json;
  readonly origin: Origin;
  /** What holds instead of a value that nobody set, in words. */
  readonly otherwise?: string;
}

/**
 * Tells of each value of a configuration, after requests are laid over it, which of them it comes from; and what holds for the keys that
 * nobody set, as far as that is known.
 *
 * @param layers the requests, the lowest first
 */
export function configOrigins(before: JsonObject, layers: readonly BootConfigurationRequest[]): ConfigOrigin[] {
  let config = before;
  let origins: readonly ConfigOrigin[] = leavesOf(before).map((leaf) => ({ ...leaf, origin: 'image' }));
  for (const layer of layers) {
    const below = new Map(origins.map((one) => [pointerTo(one.path), one]));
    const previous = config;
    config = changedConfig(previous, layer);
    origins = leavesOf(config).map((leaf) => {
      const old = isItem(leaf.path, config)
        ? origins.find((one) => isBeside(one.path, leaf.path) && isSame(one.value, leaf.value))
        : below.get(pointerTo(leaf.path));
      const isOwn = old === undefined || !isSame(old.value, leaf.value) || isSaid(leaf.path, config, layer);
      return { ...leaf, origin: isOwn ? (layer.origin ?? 'flag') : old.origin };
    });
  }
  return [...origins, ...defaultsFor(config)];
}

/** Those origins to be shown: with secrets hidden, and only of what is at a path. */
export function shownOrigins(
  before: JsonObject,
  layers: readonly BootConfigurationRequest[],
  { key, showsSecrets }: { readonly key?: string | undefined; readonly showsSecrets: boolean },
): ConfigOrigin[] {
  const within = key === undefined ? [] : parseConfigPath(key);
  return configOrigins(before, layers).flatMap((one) => {
    if (within.some((part, index) => part !== one.path[index])) return [];
    return [{ ...one, value: showsSecrets ? one.value : withoutSecret(one.path.join('.'), one.value) }];
  });
}

/** What holds for the keys that a configuration does not set. */
function defaultsFor(config: JsonObject): ConfigOrigin[] {
  return Object.entries(configKeys).flatMap(([key, { otherwise, default: value = null }]) => {
    const path = key.split('.');
    if (valueAt(config, path) !== undefined || (value === null && otherwise === undefined)) return [];
    return [{ path, value, origin: 'default' as const, ...(otherwise === undefined ? {} : { otherwise }) }];
  });
}

/** Whether a request says a value itself, also where it was the same before. SSH keys are added to those that are there. */
function isSaid(path: readonly string[], config: JsonObject, layer: BootConfigurationRequest): boolean {
  const place = isItem(path, config) ? path.slice(0, -1) : path;
  const { edits = [] } = layer;
  const isSet = edits.some((edit) => 'value' in edit && edit.path.every((part, index) => part === path[index]));
  return isSet || valueAt(changedConfig({}, { ...layer, sshKeys: [], edits: [] }), place) !== undefined;
}

function isItem(path: readonly string[], config: JsonObject): boolean {
  return Array.isArray(valueAt(config, path.slice(0, -1)));
}

function isBeside(one: readonly string[], other: readonly string[]): boolean {
  return pointerTo(one.slice(0, -1)) === pointerTo(other.slice(0, -1));
}

function isSame(one: Json, other: Json): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function leavesOf(
  value: Json,
  path: readonly string[] = [],
): { readonly path: readonly string[]; readonly value: Json }[] {
  const isNested = Array.isArray(value) || isJsonObject(value);
  const entries = isNested ? Object.entries<Json>(value) : [];
  if (entries.length === 0) return path.length === 0 ? [] : [{ path, value }];
  return entries.flatMap(([key, one]) => leavesOf(one, [...path, key]));
}
