import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import type { Pack } from 'tar-stream';
import { type EngineContainer, writeArchive } from '../engine/container-archive.js';
import { Failure } from '../failure/failure.js';
import { syncedMark } from '../engine/synced-mark.js';
import { shellWord } from '../platform/shell-word.js';
import { asUnixText, mostTextBytes } from '../project/line-ends.js';
import { ContainerShell } from './container-shell.js';
import { type TreeEntry, unlessGone } from './tree.js';

/** A file, folder or link that is to be in a container. */
export interface ContainerEntry {
  /** Absolute path in the container. */
  readonly path: string;
  /** The file here whose content it gets. */
  readonly source: string;
  readonly entry: TreeEntry;
  readonly owner: Owner;
  /** Whether it gets the line ends of Unix if it is text. */
  readonly convertsLineEnds?: boolean;
}

/** Who owns a file in a container, by number. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** What is to change in a container. */
export interface FileChanges {
  /** Folders before what is in them. */
  readonly entries: readonly ContainerEntry[];
  /** Absolute paths of files, links and whole folders. */
  readonly removed: readonly string[];
}

/** What became of changes. */
export interface Applied {
  /** SHA-256, by path in the container, of the files here that were written; a file that changed while it was read is not among them and stayed as it was. */
  readonly contents: ReadonlyMap<string, string>;
  /**
   * Whether all was done as wanted. What was to be removed is still there where nothing in the container can do so, as it does not run or
   * its image has no shell.
   */
  readonly reach: 'shell' | 'no-shell' | 'stopped';
}

/**
 * The files of one container, changed from outside through the engine. In a container that runs and has a shell, every file gets its name
 * when it is complete, whatever user its service runs as; in others it is written in place.
 */
export class ContainerFiles {
  readonly #container: EngineContainer;
  readonly #signal: AbortSignal;
  /** Names under which something may still lie that never got its own, as the link or the container was lost. */
  readonly #drafts = new Set<string>();
  #shell: ContainerShell | undefined;
  #hasNoShell = false;

  constructor(container: EngineContainer, signal: AbortSignal) {
    this.#container = container;
    this.#signal = signal;
  }

  /** Writes and removes. The container must not be made anew meanwhile; it may stop or start. */
  async apply({ entries, removed }: FileChanges): Promise<Applied> {
    if (entries.length + removed.length + this.#drafts.size === 0) return { contents: new Map(), reach: 'shell' };
    const shell = await this.#openShell();
    const drafted = entries.map((one) => ({ ...one, draft: draftName(one, shell) }));
    const contents = new Map<string, string>();
    const left = [...this.#drafts];
    const named = drafted.filter((one) => one.draft !== one.path);
    for (const { draft } of named) this.#drafts.add(draft);
    if (entries.length + removed.length > 0)
      await writeArchive(this.#container, '/', await packed(drafted, contents), this.#signal);
    if (shell === undefined) return { contents, reach: this.#hasNoShell ? 'no-shell' : 'stopped' };
    const lines = [
      ...left.map((draft) => `rm -f -- ${shellWord(draft)}`),
      ...named.map((one) => nameScript(one, contents.has(one.path))),
      ...removed.map((one) => `rm -rf -- ${shellWord(one)} || failed=1`),
    ];
    if (lines.length > 0) await shell.run([putScript, ...lines, 'test -z "$failed"'].join('\n'));
    this.#drafts.clear();
    return { contents, reach: 'shell' };
  }

  /** Ends the shell; the next change starts one again. */
  close(): void {
    this.#shell?.close();
    this.#shell = undefined;
  }

  async #openShell(): Promise<ContainerShell | undefined> {
    if (this.#shell?.isOpen === true) return this.#shell;
    this.close();
    if (this.#hasNoShell) return undefined;
    try {
      this.#shell = await ContainerShell.open(this.#container, this.#signal);
      this.#hasNoShell = this.#shell === undefined;
      return this.#shell;
    } catch (error) {
      if (error instanceof Failure && error.code === 'engine-conflict') return undefined;
      throw error;
    }
  }
}

/** `mv` alone would put a file into a folder of its name, or into one that a link of its name leads to. */
const putScript = `failed=
put() { if [ -d "$2" ] || [ -L "$2" ]; then rm -rf -- "$2"; fi; mv -f -- "$1" "$2" || { rm -f -- "$1"; failed=1; }; }`;

function nameScript({ draft, path: wanted }: DraftedEntry, isComplete: boolean): string {
  return isComplete ? `put ${shellWord(draft)} ${shellWord(wanted)}` : `rm -f -- ${shellWord(draft)}`;
}

/** An entry and the name under which it is written before it gets its own. */
interface DraftedEntry extends ContainerEntry {
  readonly draft: string;
}

/** Folders are made in place: whoever uses one sees only what gets its name in it. */
function draftName({ path: wanted, entry }: ContainerEntry, shell: ContainerShell | undefined): string {
  if (shell === undefined || entry.kind === 'folder') return wanted;
  return path.posix.join(path.posix.dirname(wanted), `.davit-${randomBytes(8).toString('hex')}.partial`);
}

/** Entries as a tar stream, while which is read the contents become known. */
async function packed(entries: readonly DraftedEntry[], contents: Map<string, string>): Promise<Readable> {
  const { default: tar } = await import('tar-stream');
  const pack = tar.pack();
  const addAll = async () => {
    pack.entry({ name: syncedMark.slice(1), mode: 0o444 }, '');
    for (const one of entries) {
      const content = await add(pack, one);
      if (content !== undefined) contents.set(one.path, content);
    }
    pack.finalize();
  };
  addAll().catch((error: unknown) => {
    pack.destroy(error instanceof Error ? error : new Error(String(error)));
  });
  return Readable.from(pack, { objectMode: false });
}

/** Files up to this size are read as a whole, so that one that changes meanwhile does no harm. */
const wholeBytes = 1_048_576;

/** Adds an entry and returns its content; undefined for a file that changed or went while it was read. */
async function add(
  pack: Pack,
  { draft, source, entry, owner, convertsLineEnds = false }: DraftedEntry,
): Promise<string | undefined> {
  const { kind, mode, size, content = '' } = entry;
  const header = { name: draft.slice(1), mode, ...owner };
  if (kind === 'folder') pack.entry({ ...header, type: 'directory' });
  if (kind === 'link') pack.entry({ ...header, type: 'symlink', linkname: content });
  if (kind !== 'file') return content;
  if (size > (convertsLineEnds ? mostTextBytes : wholeBytes)) return addLarge(pack, { ...header, size }, source);
  const bytes = await unlessGone(readFile(source), source);
  if (bytes === undefined) return undefined;
  pack.entry(header, convertsLineEnds ? asUnixText(bytes) : bytes);
  return createHash('sha256').update(bytes).digest('hex');
}

/** Adds a file in pieces. Its size stands before it, so one that has become shorter is filled up. */
async function addLarge(
  pack: Pack,
  header: { readonly name: string; readonly size: number },
  source: string,
): Promise<string | undefined> {
  const file = pack.entry(header);
  const hash = createHash('sha256');
  let left = header.size;
  const write = async (chunk: Buffer) => {
    left -= chunk.length;
    if (!file.write(chunk))
      await new Promise<void>((resolve) =>
        file.once('drain', () => {
          resolve();
        }),
      );
  };
  const read = async () => {
    for await (const chunk of createReadStream(source, { end: header.size - 1 })) {
      if (!(chunk instanceof Buffer)) continue;
      hash.update(chunk);
      await write(chunk);
    }
    return left === 0 ? hash.digest('hex') : undefined;
  };
  const content = await unlessGone(read(), source);
  while (left > 0) await write(Buffer.alloc(Math.min(left, 65_536)));
  file.end(Buffer.alloc(0));
  return content;
}
