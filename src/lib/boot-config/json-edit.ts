import { isJsonObject, type Json, type JsonObject } from '../platform/json.js';
import { type JsonMember, type JsonNode, readJsonSyntax } from './json-syntax.js';

/**
 * A JSON text with another value, in which everything that has not changed stays as it is written: order of keys, layout, notation of
 * numbers, escapes. What is new is laid out like what stands beside it.
 *
 * @param text the text of an object; where it is none, the value is written on one line
 */
export function editedJson(text: string, after: JsonObject): string {
  const root = readJsonSyntax(text);
  if ('problem' in root) return JSON.stringify(after);
  const before: unknown = JSON.parse(text);
  if (root.kind !== 'object' || !isJsonObject(before)) return JSON.stringify(after);
  const edited = new JsonEditor(text, root).render(root, before, after, '');
  return text.slice(0, root.start) + edited + text.slice(root.end);
}

/** A part of a list or an object: one that was there, by its place, or a new one. */
interface Part {
  readonly from?: number;
  readonly text: string;
}

class JsonEditor {
  readonly #text: string;
  readonly #lineEnd: string;
  /** What one step of nesting is indented by; undefined where everything stands on one line. */
  readonly #step: string | undefined;
  readonly #colon: string;

  constructor(text: string, root: JsonNode) {
    this.#text = text;
    this.#lineEnd = text.includes('\r\n') ? '\r\n' : '\n';
    const first = root.kind === 'object' ? root.members[0] : undefined;
    const lead = first === undefined ? '' : text.slice(root.start + 1, first.start);
    const base = indentOf(text.slice(0, root.start)) ?? '';
    this.#step = indentOf(lead)?.slice(base.length);
    this.#colon = first === undefined ? ':' : colonOf(text, first);
  }

  /**
   * The text of a value that takes the place of another.
   *
   * @param indent what the line is indented by in which the value begins; undefined where nothing is to be broken into lines
   */
  render(node: JsonNode, before: Json | undefined, after: Json, indent: string | undefined): string {
    if (isSame(before, after)) return this.#text.slice(node.start, node.end);
    if (node.kind === 'object' && isJsonObject(before) && isJsonObject(after)) {
      return this.#joined(node, node.members, this.#members(node.members, before, after, indent), after, indent);
    }
    if (node.kind === 'list' && isList(before) && isList(after)) {
      return this.#joined(node, node.items, this.#items(node.items, before, after, indent), after, indent);
    }
    return this.#laidOut(after, indent);
  }

  #members(members: readonly JsonMember[], before: JsonObject, after: JsonObject, indent: string | undefined): Part[] {
    const last = new Map(members.map(({ key }, index) => [key, index]));
    const within = this.#indentWithin(members, indent);
    const kept = members.flatMap(({ key, start, end, value }, from): Part[] => {
      const now = Object.hasOwn(after, key) ? after[key] : undefined;
      if (now === undefined) return [];
      // Of a key that is there twice only the last counts, and only that is changed.
      if (last.get(key) !== from) return [{ from, text: this.#text.slice(start, end) }];
      const text = this.#text.slice(start, value.start) + this.render(value, before[key], now, within);
      return [{ from, text }];
    });
    const added = Object.entries(after).flatMap(([key, value]): Part[] =>
      last.has(key) ? [] : [{ text: JSON.stringify(key) + this.#colon + this.#laidOut(value, within) }],
    );
    return [...kept, ...added];
  }

  /** Items are the same at both ends as far as they are equal; in between, each takes the place of one. */
  #items(items: readonly JsonNode[], before: readonly Json[], after: readonly Json[], indent: string | undefined) {
    const within = this.#indentWithin(items, indent);
    const shorter = Math.min(before.length, after.length);
    let head = 0;
    while (head < shorter && isSame(before[head], after[head])) head += 1;
    let tail = 0;
    while (tail < shorter - head && isSame(before.at(-1 - tail), after.at(-1 - tail))) tail += 1;
    return after.map((value, index): Part => {
      const from = index < after.length - tail ? index : index - after.length + before.length;
      const item = index < before.length - tail || index >= after.length - tail ? items[from] : undefined;
      return item === undefined
        ? { text: this.#laidOut(value, within) }
        : { from, text: this.render(item, before[from], value, within) };
    });
  }

  /** Puts parts between the brackets that were around them, with the commas and the space that stood between them. */
  #joined(
    node: JsonNode,
    old: readonly (JsonMember | JsonNode)[],
    parts: readonly Part[],
    after: Json,
    indent: string | undefined,
  ): string {
    const [first, second, last] = [old[0], old[1], old.at(-1)];
    if (first === undefined || last === undefined || parts.length === 0) return this.#laidOut(after, indent);
    const lead = this.#text.slice(node.start, first.start);
    const usual = second === undefined ? `,${lead.slice(1)}` : this.#text.slice(first.end, second.start);
    const inside = parts.map(({ from, text }, index) => {
      const previous = from === undefined ? undefined : old[from - 1];
      const own = from === undefined ? undefined : old[from];
      if (index === 0) return text;
      const between = previous === undefined || own === undefined ? usual : this.#text.slice(previous.end, own.start);
      return between + text;
    });
    return lead + inside.join('') + this.#text.slice(last.end, node.end);
  }

  /** What the line of a part is indented by. */
  #indentWithin(parts: readonly (JsonMember | JsonNode)[], indent: string | undefined): string | undefined {
    const first = parts[0];
    if (first === undefined) return indent;
    const lineStart = this.#text.lastIndexOf('\n', first.start - 1) + 1;
    const own = /^[ \t]*/.exec(this.#text.slice(lineStart, first.start))?.[0] ?? '';
    // A part that stands behind others in its line is on one line itself.
    return lineStart + own.length === first.start ? own : undefined;
  }

  #laidOut(value: Json, indent: string | undefined): string {
    if (indent === undefined || this.#step === undefined) return JSON.stringify(value);
    return JSON.stringify(value, null, this.#step).replaceAll('\n', this.#lineEnd + indent);
  }
}

/** What the last line of a text is indented by; undefined where there is no line break. */
function indentOf(space: string): string | undefined {
  return /\n([ \t]*)$/.exec(space)?.[1];
}

function colonOf(text: string, { start, value }: JsonMember): string {
  return /\s*:\s*$/.exec(text.slice(start, value.start))?.[0] ?? ':';
}

function isSame(one: Json | undefined, other: Json | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}
