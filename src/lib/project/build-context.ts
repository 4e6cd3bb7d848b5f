import { lstat, readdir } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { Failure, interrupted } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import type { IgnoreRules } from './ignore-rules.js';

/** What of a project is sent to an engine, settled before the first byte is. */
export interface BuildContext {
  readonly folder: string;
  /** Relative paths with forward slashes, folders before what is in them, in an order that does not depend on the file system. */
  readonly paths: readonly string[];
  /** Bytes of all files together. */
  readonly bytes: number;
  /** A file whose contents are not those on disk: a Dockerfile made from a template. */
  readonly replaced?: { readonly path: string; readonly text: string } | undefined;
}

/** How a context is put together. */
export interface ContextOptions {
  readonly folder: string;
  readonly rules: IgnoreRules;
  /** Files that the engine needs to see even when the rules ignore them; it then keeps them from COPY itself. */
  readonly alwaysIncluded: readonly string[];
  readonly replaced?: BuildContext['replaced'];
  readonly signal?: AbortSignal | undefined;
}

/**
 * Lists a project's build context. Ignored folders are not entered; symbolic links stay links; sockets, pipes and device
 * files have no place in an image and are left out.
 */
export async function listBuildContext(options: ContextOptions): Promise<BuildContext> {
  const { folder, replaced } = options;
  const paths: string[] = [];
  const bytes = await addFolder(options, '', paths);
  for (const file of options.alwaysIncluded) if (!paths.includes(file)) paths.push(file);
  return { folder, bytes, replaced, paths: paths.filter((one) => one !== replaced?.path) };
}

/** Adds what is wanted of one folder and returns its bytes. */
async function addFolder(options: ContextOptions, relative: string, paths: string[]): Promise<number> {
  if (options.signal?.aborted) throw interrupted();
  const { folder, rules } = options;
  const entries = await reading(path.join(folder, relative), (name) => readdir(name, { withFileTypes: true }));
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  let bytes = 0;
  for (const entry of entries) {
    const name = relative === '' ? entry.name : `${relative}/${entry.name}`;
    const isIgnored = rules.ignores(name);
    if (entry.isDirectory()) {
      if (isIgnored && !rules.mayIncludeInside(name)) continue;
      const inside: string[] = [];
      bytes += await addFolder(options, name, inside);
      if (isIgnored && inside.length === 0) continue;
      paths.push(name);
      for (const one of inside) paths.push(one);
    } else if (!isIgnored && entry.isSymbolicLink()) paths.push(name);
    else if (!isIgnored && entry.isFile()) {
      paths.push(name);
      bytes += (await reading(path.join(folder, name), (file) => lstat(file))).size;
    }
  }
  return bytes;
}

async function reading<T>(name: string, read: (name: string) => Promise<T>): Promise<T> {
  try {
    return await read(name);
  } catch (error) {
    throw whileDoing(`reading ${name}`, error);
  }
}

/** The context as a tar stream; files are read one after the other while it is consumed. */
export async function packBuildContext(context: BuildContext): Promise<Readable> {
  const { default: tarFs } = await import('tar-fs');
  const { folder, paths, replaced } = context;
  const options = {
    entries: [...paths],
    // Every path is listed already; nothing is to be added below it.
    ignore: () => true,
    // Modes are part of what is built: as they are on disk, not as this process's umask would have them.
    umask: 0,
    map: (header: import('tar-fs').Headers) => ({ ...header, uid: 0, gid: 0, mode: imageMode(header.mode) }),
    finalize: false,
    finish: (pack: import('tar-fs').Pack) => {
      if (replaced !== undefined) pack.entry({ name: replaced.path, mode: 0o644 }, replaced.text);
      pack.finalize();
    },
  };
  return Readable.from(gathered(explained(tarFs.pack(folder, options), folder)), { objectMode: false });
}

/** Windows knows no executable bit; Docker sets it on everything sent from there. */
function imageMode(mode: number): number {
  return process.platform === 'win32' ? mode | 0o755 : mode;
}

const pieceBytes = 65_536;

/** Joins small chunks: a tar of small files is mostly headers and padding, and each chunk would be a packet of its own. */
async function* gathered(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let held: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    held.push(chunk);
    bytes += chunk.length;
    if (bytes < pieceBytes) continue;
    yield Buffer.concat(held);
    held = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(held);
}

/** Says of each error in reading files which file it was; errors of whoever consumes the stream are theirs to explain. */
async function* explained(pack: import('tar-fs').Pack, folder: string): AsyncGenerator<Uint8Array> {
  let failed: unknown;
  pack.once('error', (error: unknown) => {
    failed = error;
  });
  try {
    for await (const chunk of pack) if (chunk instanceof Uint8Array) yield chunk;
  } catch (error) {
    if (error !== failed) throw error;
    const file = error instanceof Error && 'path' in error && typeof error.path === 'string' ? error.path : folder;
    if (systemErrorCode(error) !== undefined) throw whileDoing(`reading ${file} into the build context`, error);
    // The only other thing that can go wrong: a file no longer has the size that its header announced.
    const message = `a file in ${folder} changed its size while it was sent`;
    throw new Failure('failed', 'context-changed', message, { hint: 'Push again', cause: error });
  }
}
