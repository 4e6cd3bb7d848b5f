import { Failure } from '../failure/failure.js';
import { isJsonObject, type JsonObject } from '../platform/json.js';
import { type JsonNode, type JsonProblem, readJsonSyntax } from './json-syntax.js';
import { type Path, placeAt, pointerTo, type Problem, type TextPlace } from './problem.js';

/** A JSON object as it is written, with the places of its values. */
export interface JsonText {
  readonly value: JsonObject;
  /** The text, without a byte-order mark. */
  readonly text: string;
  /** Where a value stands: the key of a member, the beginning of an item. */
  readonly locate: (path: Path) => TextPlace | undefined;
  /** What parses, but other programs may read differently. */
  readonly oddities: readonly Problem[];
}

/**
 * Reads a JSON object. The failure names line and column, and never quotes the text, which may hold secrets.
 *
 * @param what the file, as the user knows it
 * @param failure makes the failure from its message
 */
export function readJsonText(
  bytes: Uint8Array,
  what: string,
  failure: (message: string, problem?: JsonProblem) => Failure,
): JsonText {
  const text = decode(bytes);
  if (text === undefined) throw failure(`${what} is not UTF-8 text`);
  const root = readJsonSyntax(text);
  if ('problem' in root) {
    const { line, column, problem } = root;
    throw failure(`${what} is not valid JSON: ${problem} at line ${line}, column ${column}`, root);
  }
  const value: unknown = JSON.parse(text);
  if (!isJsonObject(value)) throw failure(`${what} holds no JSON object`);
  const { offsets, oddities } = survey(root, text);
  const mark = hasByteOrderMark(bytes) ? [{ path: [], message: 'begins with a byte-order mark' }] : [];
  return {
    value,
    text,
    locate: (path) => {
      const offset = offsets.get(pointerTo(path));
      return offset === undefined ? undefined : placeAt(text, offset);
    },
    oddities: [...mark, ...oddities],
  };
}

/** The value of a JSON object; see `readJsonText`. */
export function parseJsonObject(bytes: Uint8Array, what: string, failure: (message: string) => Failure): JsonObject {
  return readJsonText(bytes, what, failure).value;
}

/** The failure for a JSON file of an image. */
export function invalidJson(message: string): Failure {
  return new Failure('failed', 'invalid-json', message, {
    hint: 'Repair that file in the image, for example with mtools, or get the image again',
  });
}

/** Whether a number keeps its value in the programs that read it, as most take numbers for 64-bit floating point. */
export function isExactNumber(literal: string): boolean {
  const number = Number(literal);
  if (!/^-?\d+$/.test(literal)) return Number.isFinite(number);
  return Number.isSafeInteger(number);
}

/** Editors on Windows put a byte-order mark in front; it is taken off. */
function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function hasByteOrderMark(bytes: Uint8Array): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}

/** Finds where all values stand, keys that are there twice, and numbers that lose digits. */
function survey(root: JsonNode, text: string) {
  const offsets = new Map<string, number>();
  const oddities: Problem[] = [];
  const visit = (node: JsonNode, path: Path): void => {
    if (node.kind === 'list') {
      for (const [index, item] of node.items.entries()) {
        offsets.set(pointerTo([...path, index]), item.start);
        visit(item, [...path, index]);
      }
    } else if (node.kind === 'object') {
      const keys = new Set<string>();
      for (const { key, start, value } of node.members) {
        const at = [...path, key];
        if (keys.has(key)) oddities.push({ path: at, message: 'is there twice; the last one counts' });
        keys.add(key);
        offsets.set(pointerTo(at), start);
        visit(value, at);
      }
    } else if (/[-\d]/.test(text[node.start] ?? '') && !isExactNumber(text.slice(node.start, node.end))) {
      oddities.push({ path, message: 'is a number with more digits than programs keep: put it in quotes' });
    }
  };
  visit(root, []);
  return { offsets, oddities };
}
