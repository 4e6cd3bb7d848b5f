import { Failure } from '../failure/failure.js';
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js';
import { behindLast, isIndex, pathText, shapeAt } from './config-path.js';
import { isExactNumber } from './json-text.js';
import { readJsonSyntax } from './json-syntax.js';

/** One change of config.json: a value for a path, or its removal. */
export type ConfigEdit =
  | { readonly path: readonly string[]; readonly value: Json }
  | { readonly path: readonly string[]; readonly isRemoved: true };

/** A configuration with edits made one after the other. Objects and lists on the way are made; what is not there need not be removed. */
export function withEdits(config: JsonObject, edits: readonly ConfigEdit[]): JsonObject {
  return edits.reduce((before, edit) => {
    const after = 'value' in edit ? withValue(before, edit, 0) : withoutValue(before, edit.path);
    return isJsonObject(after) ? after : before;
  }, config);
}

function withValue(
  within: Json | undefined,
  edit: { readonly path: readonly string[]; readonly value: Json },
  depth: number,
): Json {
  const { path, value } = edit;
  const part = path[depth];
  if (part === undefined) return value;
  const container = within ?? (isListPlace(path.slice(0, depth), part) ? [] : {});
  if (isList(container)) {
    const index = part === behindLast ? container.length : isIndex(part) ? Number(part) : Number.NaN;
    if (!(index <= container.length)) throw noPlace(path, depth, container.length);
    const item = withValue(container[index], edit, depth + 1);
    return [...container.slice(0, index), item, ...container.slice(index + 1)];
  }
  if (!isJsonObject(container)) throw notAContainer(path, depth);
  if (part === behindLast) throw notAList(path, depth);
  const entries = new Map<string, Json>(Object.entries(container));
  const own = entries.get(part);
  entries.set(part, withValue(own ?? undefined, edit, depth + 1));
  return Object.fromEntries(entries);
}

/** Where nothing is known and nothing is there, the first index makes a list. */
function isListPlace(path: readonly string[], part: string): boolean {
  const { type } = shapeAt(path)?.schema ?? {};
  return type === undefined ? part === behindLast || part === '0' : type === 'array';
}

function withoutValue(within: Json | undefined, [part, ...rest]: readonly string[]): Json | undefined {
  if (part === undefined) return undefined;
  if (isList(within)) {
    const index = isIndex(part) ? Number(part) : within.length;
    return within.flatMap((item, at) => {
      const left = at === index ? withoutValue(item, rest) : item;
      return left === undefined ? [] : [left];
    });
  }
  if (!isJsonObject(within)) return within;
  const entries = Object.entries(within).flatMap(([key, one]) => {
    const left = key === part ? withoutValue(one, rest) : one;
    return left === undefined ? [] : [[key, left] as const];
  });
  return Object.fromEntries(entries);
}

/**
 * The value that a word stands for at a path. Where the key is known to take text, it is the word itself; elsewhere it is read as JSON
 * where it can be, and what does not fit is left to the check of the whole.
 */
export function valueFromText(path: readonly string[], word: string): Json {
  const shape = shapeAt(path);
  const { type, enum: words } = shape?.schema ?? {};
  if (type === 'string' || words !== undefined) return word;
  const json = jsonFromText(path, word);
  if (json === null) {
    throw new Failure('usage', 'invalid-config', `${pathText(path)} must not be null, which stands for no value`, {
      hint: `Remove the key with --delete ${pathText(path)}`,
    });
  }
  const fitting = [json, word].find((one) => one !== undefined && shape?.problems(one, []).length === 0);
  return fitting ?? json ?? word;
}

function jsonFromText(path: readonly string[], word: string): Json | undefined {
  const root = readJsonSyntax(word);
  if ('problem' in root) return undefined;
  if (root.kind === 'scalar' && /^[-\d]/.test(word.trim()) && !isExactNumber(word.trim())) {
    throw new Failure('usage', 'invalid-config', `${pathText(path)} is a number with more digits than programs keep`, {
      hint: `Give it as text, in double quotes within single ones: '"${word.trim()}"'`,
    });
  }
  const value: unknown = JSON.parse(word);
  return isJson(value) ? value : undefined;
}

/** What JSON.parse gives is JSON. */
function isJson(value: unknown): value is Json {
  return value !== undefined;
}

function noPlace(path: readonly string[], depth: number, length: number): Failure {
  const list = pathText(path.slice(0, depth));
  const items = length === 1 ? '1 item' : `${length} items`;
  const what = isIndex(path[depth] ?? '')
    ? `would leave a gap: ${list} has ${items}`
    : `is no place in the list ${list}`;
  return new Failure('usage', 'invalid-path', `${pathText(path.slice(0, depth + 1))} ${what}`, {
    hint: `Add an item with ${list}.${behindLast}, or give an index from 0 to ${length}`,
  });
}

function notAContainer(path: readonly string[], depth: number): Failure {
  const holder = pathText(path.slice(0, depth));
  return new Failure('usage', 'invalid-path', `${pathText(path)} cannot be set: ${holder} has a single value`, {
    hint: `Set ${holder} itself, or remove it first with --delete ${holder}`,
  });
}

function notAList(path: readonly string[], depth: number): Failure {
  const holder = pathText(path.slice(0, depth));
  return new Failure(
    'usage',
    'invalid-path',
    `${pathText(path)} cannot be set: ${holder || 'config.json'} is no list`,
    {
      hint: 'Give the name of a key in place of +',
    },
  );
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}
