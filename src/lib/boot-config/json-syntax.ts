import { placeAt, type TextPlace } from './problem.js';

/** A value of a JSON text and where it stands: from `start` up to, but not with, `end`, in UTF-16 units. */
export type JsonNode = JsonScalar | JsonList | JsonMembers;

interface Span {
  readonly start: number;
  readonly end: number;
}

interface JsonScalar extends Span {
  readonly kind: 'scalar';
}

interface JsonList extends Span {
  readonly kind: 'list';
  readonly items: readonly JsonNode[];
}

interface JsonMembers extends Span {
  readonly kind: 'object';
  readonly members: readonly JsonMember[];
}

/** A key of an object with its value; `start` is that of the key. A key can be there twice, and the last one counts. */
export interface JsonMember extends Span {
  readonly key: string;
  readonly value: JsonNode;
}

/** Where a JSON text is wrong. */
export interface JsonProblem extends TextPlace {
  readonly problem: string;
}

/** Reads a text by the grammar of JSON (RFC 8259): its values with their places, or the first place that is wrong. */
export function readJsonSyntax(text: string): JsonNode | JsonProblem {
  const found = new JsonScanner(text).scan();
  return 'problem' in found ? { ...placeAt(text, found.offset), problem: found.problem } : found;
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

/** Stops at the first thing that does not belong; V8 does not tell the place reliably. */
class JsonScanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  scan(): JsonNode | Found {
    const root = this.#value(0);
    if ('problem' in root) return root;
    return this.#peek() === '' ? root : this.#problem('text after the end');
  }

  #value(depth: number): JsonNode | Found {
    if (depth > deepest) return this.#problem('nested too deeply');
    const next = this.#peek();
    const start = this.#at;
    if (next === '{') {
      const members = this.#sequence('}', () => this.#member(depth));
      return 'problem' in members ? members : { kind: 'object', start, end: this.#at, members };
    }
    if (next === '[') {
      const items = this.#sequence(']', () => this.#value(depth + 1));
      return 'problem' in items ? items : { kind: 'list', start, end: this.#at, items };
    }
    if (next === '"') return this.#string() ?? { kind: 'scalar', start, end: this.#at };
    if (this.#take(numberPattern) || this.#take(wordPattern)) return { kind: 'scalar', start, end: this.#at };
    return this.#problem(next === '' ? 'the text ends too early' : 'a value is missing');
  }

  #member(depth: number): JsonMember | Found {
    if (this.#peek() !== '"') return this.#problem('a key in double quotes is missing');
    const start = this.#at;
    const problem = this.#string();
    if (problem !== undefined) return problem;
    const key = String(JSON.parse(this.#text.slice(start, this.#at)));
    if (this.#peek() !== ':') return this.#problem('a colon is missing');
    this.#at += 1;
    const value = this.#value(depth + 1);
    return 'problem' in value ? value : { key, start, end: value.end, value };
  }

  #sequence<T extends object>(end: '}' | ']', part: () => T | Found): T[] | Found {
    this.#at += 1;
    const parts: T[] = [];
    if (this.#peek() === end) {
      this.#at += 1;
      return parts;
    }
    for (;;) {
      const found = part();
      if (isProblem(found)) return found;
      parts.push(found);
      const next = this.#peek();
      if (next !== ',' && next !== end) return this.#problem(`a comma or ${end} is missing`);
      this.#at += 1;
      if (next === end) return parts;
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

function isProblem(found: object): found is Found {
  return 'problem' in found;
}
