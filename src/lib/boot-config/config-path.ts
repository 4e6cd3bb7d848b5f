import { Failure } from '../failure/failure.js';
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js';
import { configKeys } from './config-keys.js';
import { type Path, pointerTo } from './problem.js';
import type { Shape } from './shape.js';

/** The path part that stands for the place behind the last item of a list. */
export const behindLast = '+';

/**
 * The path that a word is: keys and indexes with dots between them (`os.sshKeys.0`), `+` for a new item, or a JSON pointer
 * (`/os/sshKeys/0`), in which keys may have dots. Behind a known key that holds names, the rest is one name, dots included:
 * `deviceApiKeys.api.example.com`.
 */
export function parseConfigPath(word: string): readonly string[] {
  const parts = word.startsWith('/') ? pointerParts(word) : dottedParts(word);
  if (!parts.includes('')) return parts;
  throw new Failure('usage', 'invalid-path', `${JSON.stringify(word)} is not the path of a key`, {
    hint: 'Give it as os.sshKeys.0, or as JSON pointer: /os/sshKeys/0',
  });
}

function pointerParts(pointer: string): string[] {
  const parts = pointer.slice(1).split('/');
  return parts.map((part) => (part === '-' ? behindLast : part.replaceAll('~1', '/').replaceAll('~0', '~')));
}

function dottedParts(word: string): string[] {
  const map = Object.keys(configKeys).find(
    (key) => word.startsWith(`${key}.`) && configKeys[key]?.shape.schema.type === 'object',
  );
  return map === undefined ? word.split('.') : [...map.split('.'), word.slice(map.length + 1)];
}

/** A path as it is typed. */
export function pathText(path: Path): string {
  const text = path.join('.');
  const isPlain = !text.startsWith('/') && (path.length === 0 || dottedParts(text).length === path.length);
  return isPlain ? text : pointerTo(path);
}

/** The value at a path, or undefined. */
export function valueAt(config: JsonObject, path: Path): Json | undefined {
  let value: Json | undefined = config;
  for (const part of path) {
    const key = String(part);
    if (isList(value)) value = isIndex(key) ? value[Number(key)] : undefined;
    else value = isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  }
  return value;
}

/** The shape of what may stand at a path; undefined where nothing is known of it. */
export function shapeAt(path: Path): Shape<unknown> | undefined {
  const lengths = path.map((_, index) => index + 1);
  const known = lengths.find((length) => Object.hasOwn(configKeys, path.slice(0, length).join('.')));
  if (known === undefined) return undefined;
  let shape: Shape<unknown> | undefined = configKeys[path.slice(0, known).join('.')]?.shape;
  for (let depth = known; depth < path.length; depth += 1) shape = shape?.each;
  return shape;
}

/** Whether a part of a path can be an index of a list. */
export function isIndex(part: string): boolean {
  return /^(0|[1-9]\d{0,8})$/.test(part);
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}
