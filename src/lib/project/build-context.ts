import { createReadStream, type ReadStream } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { Failure, interrupted } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import type { BuildSource } from './build-source.js';
import type { IgnoreRules } from './ignore-rules.js';
import { carriageReturns, withUnixLineEnds } from './line-ends.js';

/** What of a project is sent to an engine, settled before the first byte is. */
export interface BuildContext {
  readonly folder: string;
  /** Relative paths with forward slashes, folders before what is in them, in an order that does not depend on the file system. */
  readonly paths: readonly string[];
  /** Bytes of all files together. */
  readonly bytes: number;
  /** A file whose contents are not those on disk: a Dockerfile made from a template. */
  readonly replaced?: { readonly path: string; readonly text: string } | undefined;
  /** Sockets, pipes and device files, which have no place in an image and are left out. */
  readonly skipped: readonly string[];
  /** The largest files, the largest first. */
  readonly largest: readonly SizedFile[];
  /** Text files whose line ends become those of Unix on the way, and their bytes after that. */
  readonly converted: ReadonlyMap<string, number>;
}

/** A file and its bytes. */
export interface SizedFile {
  readonly path: string;
  readonly bytes: number;
}

/** How a context is put together. */
export interface ContextOptions {
  readonly folder: string;
  readonly rules: IgnoreRules;
  /** Files that the engine needs to see even when the rules ignore them; it then keeps them from COPY itself. */
  readonly alwaysIncluded: readonly string[];
  readonly replaced?: BuildContext['replaced'];
  /** Whether text files with the line ends of Windows get those of Unix. */
  readonly convertsLineEnds?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Lists a project's build context. Ignored folders are not entered; symbolic links stay links.
 */
export async function listBuildContext(options: ContextOptions): Promise<BuildContext> {
  const { folder, replaced, alwaysIncluded } = options;
  const listing: Listing = { paths: [], files: [], skipped: [], converted: new Map() };
  await addFolder(options, '', listing.paths, listing);
  const known = new Set(listing.paths);
  const paths = [...listing.paths, ...alwaysIncluded.filter((file) => !known.has(file))];
  const { files, skipped, converted } = listing;
  return {
    folder,
    paths: paths.filter((one) => one !== replaced?.path),
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    replaced,
    skipped,
    largest: files.sort((a, b) => b.bytes - a.bytes).slice(0, mostLargest),
    converted,
  };
}

/** What of a service's folder is sent to build it. */
export async function buildContextOf(source: BuildSource, signal?: AbortSignal): Promise<BuildContext> {
  const { folder, dockerfile, rules, alwaysIncluded, convertsLineEnds } = source;
  return listBuildContext({
    folder,
    rules,
    alwaysIncluded,
    convertsLineEnds,
    replaced: dockerfile.isDerived ? { path: dockerfile.path, text: dockerfile.text } : undefined,
    signal,
  });
}

const mostLargest = 5;

interface Listing {
  readonly paths: string[];
  readonly files: SizedFile[];
  readonly skipped: string[];
  readonly converted: Map<string, number>;
}

/** Adds what is wanted of one folder: its paths to a list of their own, what else is found to the listing. */
async function addFolder(options: ContextOptions, relative: string, paths: string[], listing: Listing): Promise<void> {
  if (options.signal?.aborted) throw interrupted();
  const { folder, rules, convertsLineEnds = false } = options;
  const entries = await reading(path.join(folder, relative), (name) => readdir(name, { withFileTypes: true }));
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  const named = entries.map((entry) => {
    const name = relative === '' ? entry.name : `${relative}/${entry.name}`;
    return { name, entry, isIgnored: rules.ignores(name) };
  });
  // All files of a folder at once: one after the other, most of the time is spent on waiting for threads.
  const sized = await Promise.all(
    named.map(async (one) => {
      if (one.isIgnored || !one.entry.isFile()) return { ...one, size: 0 };
      return { ...one, size: (await reading(path.join(folder, one.name), (file) => lstat(file))).size };
    }),
  );
  for (const { name, entry, isIgnored, size } of sized) {
    if (entry.isDirectory()) {
      if (isIgnored && !rules.mayIncludeInside(name)) continue;
      const inside: string[] = [];
      await addFolder(options, name, inside, listing);
      if (isIgnored && inside.length === 0) continue;
      paths.push(name);
      for (const one of inside) paths.push(one);
    } else if (isIgnored) continue;
    else if (entry.isSymbolicLink()) paths.push(name);
    else if (entry.isFile()) {
      paths.push(name);
      const less = convertsLineEnds ? await carriageReturns(path.join(folder, name), size) : 0;
      if (less > 0) listing.converted.set(name, size - less);
      listing.files.push({ path: name, bytes: size - less });
    } else listing.skipped.push(name);
  }
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
  const { folder, paths, replaced, converted } = context;
  const options = {
    entries: [...paths],
    // Every path is listed already; nothing is to be added below it.
    ignore: () => true,
    // Modes are part of what is built: as they are on disk, not as this process's umask would have them.
    umask: 0,
    map: (header: import('tar-fs').Headers) => ({
      ...header,
      uid: 0,
      gid: 0,
      mode: imageMode(header.mode),
      size: converted.get(header.name) ?? header.size,
    }),
    mapStream: (stream: ReadStream, { name }: import('tar-fs').Headers) => {
      if (!converted.has(name)) return stream;
      // The stream that we get ends where the header says that the converted text does.
      stream.destroy();
      const text = withUnixLineEnds(createReadStream(path.join(folder, name)));
      return isTakenByTar(text) ? text : stream;
    },
    finalize: false,
    finish: (pack: import('tar-fs').Pack) => {
      if (replaced !== undefined) pack.entry({ name: replaced.path, mode: 0o644 }, replaced.text);
      pack.finalize();
    },
  };
  return Readable.from(gathered(explained(tarFs.pack(folder, options), folder)), { objectMode: false });
}

/** Any stream will do for tar-fs, whose types name only those of files. */
function isTakenByTar(stream: NodeJS.ReadableStream): stream is ReadStream {
  return stream.readable;
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
