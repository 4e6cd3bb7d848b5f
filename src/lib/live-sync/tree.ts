import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import path from 'node:path';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { childOf } from './watch-folder.js';

/** A file, folder or link of a project. */
export interface TreeEntry {
  readonly kind: 'file' | 'folder' | 'link';
  /** Permission bits. */
  readonly mode: number;
  /** Bytes; 0 for what is no file. */
  readonly size: number;
  /** What is different whenever somebody may have changed it: as long as it is the same, the content is. */
  readonly stamp: string;
  /** SHA-256 of a file in hexadecimal digits, once it is known; where a link leads; empty for a folder. */
  readonly content: string | undefined;
}

/** A project's files by path, relative and with forward slashes. */
export type Tree = ReadonlyMap<string, TreeEntry>;

/** Which paths of a folder belong to a tree. */
export interface TreeScope {
  readonly folder: string;
  readonly ignores: (path: string) => boolean;
  /** Whether nothing below a folder belongs to it, so that it need not be entered. */
  readonly skips: (folder: string) => boolean;
}

/** What has changed since a tree was read. */
export interface TreeChanges {
  /** New and changed entries, folders before what is in them. */
  readonly changed: Tree;
  /** What is gone; of a folder, only itself. */
  readonly gone: readonly string[];
}

/** Reads a tree without the content of its files. */
export async function readTree(scope: TreeScope): Promise<Map<string, TreeEntry>> {
  const tree = new Map<string, TreeEntry>();
  for await (const [name, entry] of entriesBelow(scope, '')) tree.set(name, entry);
  return tree;
}

/**
 * Compares paths, and all below them, with how they are known. A file counts as changed when its content is another one, or its content was
 * never known and somebody may have changed it.
 */
export async function changesIn(scope: TreeScope, paths: Iterable<string>, known: Tree): Promise<TreeChanges> {
  const found = new Map<string, TreeEntry>();
  const looked = outermost(paths);
  for (const name of looked) {
    const entry = name === '' ? undefined : await entryAt(scope, name);
    if (entry !== undefined) found.set(name, entry);
    if (name !== '' && entry?.kind !== 'folder') continue;
    for await (const [below, one] of entriesBelow(scope, name)) found.set(below, one);
  }
  const changed = new Map<string, TreeEntry>();
  for (const [name, entry] of found) {
    const settled = await changedSince(path.join(scope.folder, name), entry, known.get(name));
    if (settled !== undefined) changed.set(name, settled);
  }
  const isLooked = (name: string) => looked.some((one) => one === '' || name === one || name.startsWith(`${one}/`));
  const gone = [...known.keys()].filter((name) => isLooked(name) && !found.has(name));
  return { changed, gone: outermost(gone) };
}

/** Paths without those that are inside of others. */
function outermost(paths: Iterable<string>): string[] {
  const all = new Set(paths);
  if (all.has('')) return [''];
  const isInside = (name: string): boolean => {
    const end = name.lastIndexOf('/');
    return end > 0 && (all.has(name.slice(0, end)) || isInside(name.slice(0, end)));
  };
  return [...all].filter((name) => !isInside(name));
}

async function changedSince(
  file: string,
  now: TreeEntry,
  before: TreeEntry | undefined,
): Promise<TreeEntry | undefined> {
  if (before?.stamp === now.stamp) return undefined;
  const isSame = before?.kind === now.kind && before.mode === now.mode;
  if (now.kind !== 'file') return isSame && before.content === now.content ? undefined : now;
  const content = await hashOf(file);
  if (content === undefined) return undefined;
  return isSame && before.content === content ? undefined : { ...now, content };
}

async function* entriesBelow(scope: TreeScope, folder: string): AsyncGenerator<[string, TreeEntry]> {
  const names = await unlessGone(readdir(path.join(scope.folder, folder)), path.join(scope.folder, folder));
  for (const one of (names ?? []).sort()) {
    const name = childOf(folder, one);
    const entry = await entryAt(scope, name);
    if (entry !== undefined) yield [name, entry];
    // Something inside of an ignored folder may belong to the tree all the same.
    if (entry === undefined ? await isEntered(scope, name) : entry.kind === 'folder') yield* entriesBelow(scope, name);
  }
}

async function isEntered({ folder, ignores, skips }: TreeScope, name: string): Promise<boolean> {
  if (!ignores(name) || skips(name)) return false;
  const file = path.join(folder, name);
  return (await unlessGone(lstat(file), file))?.isDirectory() === true;
}

/** Undefined for what is not there, does not belong to the tree, or has no place in a container, such as a socket. */
async function entryAt({ folder, ignores }: TreeScope, name: string): Promise<TreeEntry | undefined> {
  if (ignores(name)) return undefined;
  const file = path.join(folder, name);
  const stats = await unlessGone(lstat(file, { bigint: true }), file);
  if (stats === undefined) return undefined;
  const { mtimeNs, ctimeNs, ino } = stats;
  const mode = Number(stats.mode & 0o7777n);
  const facts = { mode, size: 0, stamp: [mtimeNs, ctimeNs, ino, stats.size, stats.mode].join() };
  if (stats.isFile()) return { ...facts, kind: 'file', size: Number(stats.size), content: undefined };
  // A folder's own time and size change with what is in it.
  if (stats.isDirectory()) return { ...facts, kind: 'folder', stamp: `folder ${mode}`, content: '' };
  if (!stats.isSymbolicLink()) return undefined;
  const content = await unlessGone(readlink(file), file);
  return content === undefined ? undefined : { ...facts, kind: 'link', content };
}

async function hashOf(file: string): Promise<string | undefined> {
  const hash = createHash('sha256');
  const read = async () => {
    for await (const chunk of createReadStream(file)) if (chunk instanceof Buffer) hash.update(chunk);
    return hash.digest('hex');
  };
  return unlessGone(read(), file);
}

/** What was read, undefined when the file is gone or something else now: that may be at any moment while somebody works in its folder. */
export async function unlessGone<T>(work: Promise<T>, file: string): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EISDIR', 'EINVAL'].includes(systemErrorCode(error) ?? '')) return undefined;
    throw whileDoing(`reading ${file}`, error);
  }
}
