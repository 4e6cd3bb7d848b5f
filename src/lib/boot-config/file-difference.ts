import { createHash } from 'node:crypto';
import path from 'node:path';
import type { Json, JsonObject } from '../platform/json.js';
import { isJsonObject } from '../platform/json.js';
import { configChanges } from './config-json.js';
import { readExistingConfig } from './existing-config.js';
import { type DifferingLine, lineDifference } from './line-difference.js';
import { connectionLinesWithoutSecrets, linesWithoutSecrets } from './secret-text.js';
import { hidden, isSecretKey } from './secret-names.js';
import { withoutSecret } from './secrets.js';

/** A file of the boot partition before and after a change; undefined where it is not there. */
export interface FileContents {
  readonly path: string;
  readonly before: Buffer | undefined;
  readonly after: Buffer | undefined;
}

/** How a file of the boot partition differs, with secrets hidden. */
export interface FileDifference {
  readonly path: string;
  readonly action: 'create' | 'replace' | 'remove';
  /**
   * Lines that begin with `-` are only before, with `+` only after, with a space in both, and with `@@` tell which lines follow. Those
   * of config.json are its keys; one of what is no text is its size and hash.
   */
  readonly lines: readonly string[];
}

/** How files differ; those that do not are left out. */
export function fileDifferences(files: readonly FileContents[]): FileDifference[] {
  return files.flatMap((file) => {
    const { before, after } = file;
    if (before === undefined ? after === undefined : after?.equals(before) === true) return [];
    const action = before === undefined ? 'create' : after === undefined ? 'remove' : 'replace';
    return [{ path: file.path, action, lines: differingLines(file) }];
  });
}

function differingLines({ path: name, before, after }: FileContents): string[] {
  if (name.toLowerCase() === 'config.json') return configLines(before, after);
  if (isSecretFile(name)) return [...(before ? [`-${hidden}`] : []), ...(after ? [`+${hidden}`] : [])];
  const [old, now] = [linesOf(before), linesOf(after)];
  if (old === undefined || now === undefined) {
    return [...(before ? [`-${factsOf(before)}`] : []), ...(after ? [`+${factsOf(after)}`] : [])];
  }
  const isConnection = /^system-connections\//i.test(name);
  const hide = isConnection ? connectionLinesWithoutSecrets : linesWithoutSecrets;
  return hunks(lineDifference(old, now), hide(old), hide(now));
}

/** A file that is one secret as a whole, by its name. */
function isSecretFile(name: string): boolean {
  const { name: stem, ext } = path.posix.parse(name);
  if (/^system-connections\//i.test(name) && ext === '') return false;
  return /^\.(key|p12|pfx)$/i.test(ext) || isSecretKey(stem);
}

function factsOf(content: Buffer): string {
  return `${content.length} bytes, SHA-256 ${createHash('sha256').update(content).digest('hex').slice(0, 12)}`;
}

/** The lines of a text; undefined for what is none. A last line without an end is told from one with it. */
function linesOf(content: Buffer | undefined): string[] | undefined {
  if (content === undefined || content.length === 0) return [];
  if (content.includes(0)) return undefined;
  try {
    const lines = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content).split('\n');
    const last = lines.pop() ?? '';
    return last === '' ? lines : [...lines, `${last} (no line end)`];
  } catch {
    return undefined;
  }
}

/** Lines around a change that are shown with it. */
const context = 3;

function hunks(difference: readonly DifferingLine[], before: readonly string[], after: readonly string[]): string[] {
  const isShown = (index: number) =>
    difference.slice(Math.max(0, index - context), index + context + 1).some(({ sign }) => sign !== ' ');
  const lines: string[] = [];
  let isOpen = true;
  for (const [index, line] of difference.entries()) {
    if (!isShown(index)) {
      isOpen = false;
      continue;
    }
    // Where nothing was left out, nobody needs to be told which lines these are.
    if (!isOpen) lines.push(`@@ line ${('after' in line ? line.after : line.before) + 1} @@`);
    isOpen = true;
    const text = line.sign === '-' ? before[line.before] : after[line.after];
    const shown = `${line.sign}${text ?? ''}`;
    // A key of thirty lines is as hidden as one of one line.
    if (!(shown.slice(1) === hidden && lines.at(-1) === shown)) lines.push(shown);
  }
  return lines;
}

/** What differs in config.json: a line for each value, under the dotted path of its key. */
function configLines(before: Buffer | undefined, after: Buffer | undefined): string[] {
  return configChanges(parsed(before), parsed(after)).flatMap((change) => {
    const [old, now] = [leavesOf(change.key, change.before), leavesOf(change.key, change.after)];
    const compared = (leaves: readonly Leaf[]) => leaves.map(({ value }) => JSON.stringify(value));
    return lineDifference(compared(old), compared(now)).flatMap((line) => {
      if (line.sign === ' ') return [];
      const leaf = line.sign === '-' ? old[line.before] : now[line.after];
      return leaf === undefined ? [] : [`${line.sign}${leaf.key}: ${leafText(leaf)}`];
    });
  });
}

/** One that is not JSON is only ever replaced as a whole. */
function parsed(content: Buffer | undefined): JsonObject {
  return readExistingConfig(content, { what: 'config.json', os: {}, replacesBroken: true }).config;
}

interface Leaf {
  readonly key: string;
  readonly value: Json;
}

function leavesOf(key: string, value: Json | undefined): Leaf[] {
  if (value === undefined) return [];
  const isNested = Array.isArray(value) || isJsonObject(value);
  const entries = isNested ? Object.entries<Json>(value) : [];
  return entries.length === 0 ? [{ key, value }] : entries.flatMap(([name, one]) => leavesOf(`${key}.${name}`, one));
}

function leafText({ key, value }: Leaf): string {
  const shown = withoutSecret(key, value);
  return shown === hidden ? hidden : JSON.stringify(shown);
}
