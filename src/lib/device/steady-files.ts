import { Failure } from '../failure/failure.js';
import type { FileEntry, Files, OpenFile } from '../platform/files.js';
import type { ProgressListener } from '../platform/progress.js';
import { untilReached } from './until-reached.js';

/** How the files of a device are reached, and for how long it may be away. */
export interface SteadyOptions {
  /** Connects to the device, now and whenever the link to it was lost. */
  readonly open: () => Promise<Files>;
  /** What the user calls it. */
  readonly device: string;
  /** Whether its files are written. What it had not stored yet is gone when it has started anew. */
  readonly isWritten: boolean;
  /** How long to try to reach it again after a loss, in seconds. */
  readonly patience: number;
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

/** The files of a device over one connection. */
interface Link {
  readonly files: Files;
  /** Changes with every start of the device; undefined where it does not tell. */
  readonly bootId: Promise<string | undefined>;
  /** Settles when there is another link in its place. */
  next?: Promise<void>;
}

/**
 * The files of a device, for longer than one connection to it lasts: when the link is lost the device is connected to again, and what was
 * under way is done once more. Fails as `device-restarted` when it has lost by a new start what was written.
 */
export class SteadyFiles implements Files {
  readonly #options: SteadyOptions;
  readonly #first: Files;
  #link: Promise<Link>;

  private constructor(first: Link, options: SteadyOptions) {
    this.#options = options;
    this.#first = first.files;
    this.#link = Promise.resolve(first);
  }

  static async connect(options: SteadyOptions): Promise<SteadyFiles> {
    return new SteadyFiles(await newLink(options), options);
  }

  describe(file: string): string {
    return this.#first.describe(file);
  }

  join(folder: string, name: string): string {
    return this.#first.join(folder, name);
  }

  folderOf(file: string): string {
    return this.#first.folderOf(file);
  }

  nameOf(file: string): string {
    return this.#first.nameOf(file);
  }

  look(file: string, followLink: boolean): Promise<FileEntry | undefined> {
    return this.steadily((files) => files.look(file, followLink));
  }

  list(folder: string): Promise<readonly string[]> {
    return this.steadily((files) => files.list(folder));
  }

  readLink(file: string): Promise<string> {
    return this.steadily((files) => files.readLink(file));
  }

  makeLink(file: string, target: string): Promise<void> {
    return this.#once(
      (files) => files.makeLink(file, target),
      async (files) => (await files.look(file, false))?.kind === 'link',
    );
  }

  makeFolder(folder: string, mode: number): Promise<void> {
    return this.#once(
      (files) => files.makeFolder(folder, mode),
      async (files) => (await files.look(folder, false))?.kind === 'folder',
    );
  }

  setFolder(folder: string, attributes: { readonly mode: number; readonly modified: number }): Promise<void> {
    return this.steadily((files) => files.setFolder(folder, attributes));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#once(
      (files) => files.rename(from, to),
      async (files) => (await files.look(from, false)) === undefined && (await files.look(to, false)) !== undefined,
    );
  }

  remove(file: string): Promise<void> {
    return this.#once(
      (files) => files.remove(file),
      async (files) => (await files.look(file, false)) === undefined,
    );
  }

  removeFolder(folder: string): Promise<void> {
    return this.#once(
      (files) => files.removeFolder(folder),
      async (files) => (await files.look(folder, false)) === undefined,
    );
  }

  async openToRead(file: string): Promise<OpenFile> {
    const before = await this.look(file, true);
    return this.#opened(async (files, isAgain) => {
      const handle = await files.openToRead(file);
      if (!isAgain || isSame(before, await files.look(file, true))) return handle;
      throw new Failure('failed', 'source-changed', `${this.describe(file)} has changed while the link was lost`, {
        hint: 'Copy it again',
      });
    });
  }

  openToWrite(file: string): Promise<OpenFile> {
    return this.#opened((files) => files.openToWrite(file));
  }

  create(file: string, mode: number): Promise<OpenFile> {
    return this.#opened(async (files, isAgain) =>
      isAgain && (await files.look(file, false)) !== undefined ? files.openToWrite(file) : files.create(file, mode),
    );
  }

  async close(): Promise<void> {
    await (await this.#link.catch(() => undefined))?.files.close();
  }

  /** Does something with the files, and again each time when the link was lost meanwhile. */
  async steadily<T>(work: (files: Files, isAgain: boolean) => Promise<T>): Promise<T> {
    for (let isAgain = false; ; isAgain = true) {
      const link = await this.#link;
      try {
        return await work(link.files, isAgain);
      } catch (error) {
        if (!(error instanceof Failure && error.code === 'connection-lost')) throw error;
        link.next ??= this.#replace(link);
        await link.next;
      }
    }
  }

  /** Does what can be done only once: the answer may have been lost with the link. */
  #once(work: (files: Files) => Promise<void>, isDone: (files: Files) => Promise<boolean>): Promise<void> {
    return this.steadily(async (files, isAgain) => {
      if (!isAgain || !(await isDone(files))) await work(files);
    });
  }

  async #opened(open: (files: Files, isAgain: boolean) => Promise<OpenFile>): Promise<OpenFile> {
    const first = await this.steadily(async (files, isAgain) => ({ files, handle: await open(files, isAgain) }));
    return new SteadyFile(this, (files) => open(files, true), first);
  }

  async #replace(lost: Link): Promise<void> {
    const { device, patience, isWritten, signal, progress } = this.#options;
    signal.throwIfAborted();
    const text = `the connection to ${device} was lost; trying to reach it again for ${patience} s`;
    if (patience > 0) progress({ type: 'notice', level: 'warning', text });
    this.#link = untilReached(() => newLink(this.#options), { signal, patienceMs: patience * 1000 }).catch(
      (error: unknown) => {
        signal.throwIfAborted();
        if (error instanceof Failure && error.kind !== 'unreachable' && error.kind !== 'not-found') throw error;
        throw new Failure('unreachable', 'connection-lost', `the connection to ${device} was lost`, {
          hint: 'Check that the device is still on and in the network; --timeout sets for how long it may be away',
          cause: error,
        });
      },
    );
    const { bootId } = await this.#link;
    progress({ type: 'notice', level: 'info', text: `connected to ${device} again` });
    const [before, now] = await Promise.all([lost.bootId, bootId]);
    if (isWritten && (before === undefined || before !== now)) {
      throw new Failure('unreachable', 'device-restarted', `${device} was started anew during the copy`, {
        hint: 'Copy again when it stays on',
      });
    }
  }
}

/** An open file of a device, which is opened again over the next link. */
class SteadyFile implements OpenFile {
  readonly #owner: SteadyFiles;
  readonly #reopen: (files: Files) => Promise<OpenFile>;
  #files: Files;
  #handle: Promise<OpenFile>;

  constructor(
    owner: SteadyFiles,
    reopen: (files: Files) => Promise<OpenFile>,
    { files, handle }: { readonly files: Files; readonly handle: OpenFile },
  ) {
    this.#owner = owner;
    this.#reopen = reopen;
    this.#files = files;
    this.#handle = Promise.resolve(handle);
  }

  read(buffer: Buffer, position: number): Promise<number> {
    return this.#owner.steadily(async (files) => (await this.#over(files)).read(buffer, position));
  }

  write(buffer: Buffer, position: number): Promise<void> {
    return this.#owner.steadily(async (files) => (await this.#over(files)).write(buffer, position));
  }

  setAttributes(attributes: Parameters<OpenFile['setAttributes']>[0]): Promise<void> {
    return this.#owner.steadily(async (files) => (await this.#over(files)).setAttributes(attributes));
  }

  close(): Promise<void> {
    return this.#owner.steadily(async (files) => (await this.#over(files)).close());
  }

  #over(files: Files): Promise<OpenFile> {
    if (this.#files !== files) {
      this.#files = files;
      this.#handle = this.#reopen(files);
    }
    return this.#handle;
  }
}

async function newLink({ open, isWritten }: SteadyOptions): Promise<Link> {
  const files = await open();
  return { files, bootId: isWritten ? bootIdOf(files) : Promise.resolve(undefined) };
}

/** Which start of the device this is, as Linux has it. */
async function bootIdOf(files: Files): Promise<string | undefined> {
  const id = Buffer.alloc(36);
  try {
    const file = await files.openToRead('/proc/sys/kernel/random/boot_id');
    const bytes = await file.read(id, 0);
    await file.close();
    return bytes === id.length ? id.toString('latin1') : undefined;
  } catch (error) {
    // A server need not show it, nor be Linux.
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

function isSame(one: FileEntry | undefined, other: FileEntry | undefined): boolean {
  return one?.size === other?.size && one?.modified === other?.modified;
}
