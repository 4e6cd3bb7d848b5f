import { Failure } from '../failure/failure.js';
import { isJsonObject, type JsonObject } from '../platform/json.js';
import { type Path, placeAt, pointerTo, type TextPlace } from './problem.js';

/** Where a JSON text is wrong. */
export interface JsonProblem extends TextPlace {
  readonly problem: string;
}

/**
 * Parses a JSON object. The failure names line and column, and never quotes the text, which may hold secrets.
 *
 * @param what the file, as the user knows it
 * @param failure makes the failure from its message
 */
export function parseJsonObject(bytes: Uint8Array, what: string, failure: (message: string) => Failure): JsonObject {
  const text = decode(bytes);
  if (text === undefined) throw failure(`${what} is not UTF-8 text`);
  const found = findJsonProblem(text);
  if (found !== undefined) {
    throw failure(`${what} is not valid JSON: ${found.problem} at line ${found.line}, column ${found.column}`);
  }
  const value: unknown = JSON.parse(text);
  if (isJsonObject(value)) return value;
  throw failure(`${what} holds no JSON object`);
}

/** The failure for a JSON file of an image. */
export function invalidJson(message: string): Failure {
  return new Failure('failed', 'invalid-json', message, {
    hint: 'Repair that file in the image, for example with mtools, or get the image again',
  });
}

/** The first place where a text is not JSON (RFC 8259), or undefined when it is. */
export function findJsonProblem(text: string): JsonProblem | undefined {
  const found = new JsonScanner(text).scan();
  return found && { ...placeAt(text, found.offset), problem: found.problem };
}

/** Tells where the values of a JSON text stand: the key of a member, the beginning of an item. */
export function locateInJson(bytes: Uint8Array): (path: Path) => TextPlace | undefined {
  const text = decode(bytes) ?? '';
  const scanner = new JsonScanner(text);
  scanner.scan();
  return (path) => {
    const offset = scanner.offsets.get(pointerTo(path));
    return offset === undefined ? undefined : placeAt(text, offset);
  };
}

/** Editors on Windows put a byte-order mark in front; it is taken off. */
function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

interface Found {
  readonly offset: number;
  readonly problem: string;
}

const deepest = 500;
const numberPattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
/** Any character from the space on, but for the quotation mark and the backslash, and escapes. */
const stringPattern = /"(?:[ !#-[\]-\uFFFF]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*/y;
const wordPattern = /true|false|null/y;
const spacePattern = /[ \t\r\n]*/y;

/** Reads a text by the grammar of JSON and stops at the first thing that does not belong; V8 does not tell the place reliably. */
class JsonScanner {
  /** Where values begin, or their keys, by JSON pointer. */
  readonly offsets = new Map<string, number>();
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  scan(): Found | undefined {
    const problem = this.#value([]);
    if (problem !== undefined) return problem;
    return this.#peek() === '' ? undefined : this.#problem('text after the end');
  }

  #value(path: Path): Found | undefined {
    if (path.length > deepest) return this.#problem('nested too deeply');
    const next = this.#peek();
    if (next === '{') return this.#sequence('}', () => this.#member(path));
    if (next === '[') return this.#sequence(']', (index) => this.#item([...path, index]));
    if (next === '"') return this.#string();
    if (this.#take(numberPattern) || this.#take(wordPattern)) return undefined;
    return this.#problem(next === '' ? 'the text ends too early' : 'a value is missing');
  }

  #item(path: Path): Found | undefined {
    this.#peek();
    this.offsets.set(pointerTo(path), this.#at);
    return this.#value(path);
  }

  #member(parent: Path): Found | undefined {
    if (this.#peek() !== '"') return this.#problem('a key in double quotes is missing');
    const start = this.#at;
    const problem = this.#string();
    if (problem !== undefined) return problem;
    const path = [...parent, String(JSON.parse(this.#text.slice(start, this.#at)))];
    this.offsets.set(pointerTo(path), start);
    if (this.#peek() !== ':') return this.#problem('a colon is missing');
    this.#at += 1;
    return this.#value(path);
  }

  #sequence(end: '}' | ']', part: (index: number) => Found | undefined): Found | undefined {
    this.#at += 1;
    if (this.#peek() === end) {
      this.#at += 1;
      return undefined;
    }
    for (let index = 0; ; index += 1) {
      const problem = part(index);
      if (problem !== undefined) return problem;
      const next = this.#peek();
      if (next !== ',' && next !== end) return this.#problem(`a comma or ${end} is missing`);
      this.#at += 1;
      if (next === end) return undefined;
    }
  }

  #string(): Found | undefined {
    this.#take(stringPattern);
    const next = this.#text[this.#at];
    if (next === '"') {
      this.#at += 1;
      return undefined;
    }
    if (next === undefined) return this.#problem('a string does not end');
    return this.#problem(
      next === '\\' ? 'a wrong escape in a string' : 'a line break or control character in a string',
    );
  }

  /** The next character that is not white space, or an empty string at the end. */
  #peek(): string {
    this.#take(spacePattern);
    return this.#text[this.#at] ?? '';
  }

  #take(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return false;
    this.#at += match[0].length;
    return true;
  }

  #problem(problem: string): Found {
    return { offset: this.#at, problem };
  }
}
