import { randomBytes } from 'node:crypto';
import { chmod, constants, copyFile, type FileHandle, link, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { isProcessGone, ownProcess } from './process-identity.js';

/** How an output file is made. */
export interface DraftOptions {
  /** Whether a file that has the name already is replaced. */
  readonly mayOverwrite: boolean;
  /** Who may read it, before the umask; 0o666 by default. */
  readonly mode?: number;
  /** A file that it shall begin as a clone of, on file systems where two files can share their blocks (Btrfs, XFS, APFS). */
  readonly cloneOf?: string;
}

/**
 * A file that gets its name only when it is complete: until then it lies beside it under another one, and whatever goes wrong leaves neither
 * it nor a changed older file behind.
 */
export class DraftFile {
  /** The name that it will have. */
  readonly path: string;
  readonly handle: FileHandle;
  /** Whether it began with the content of `cloneOf`, else it began empty. */
  readonly isClone: boolean;
  readonly #draft: string;
  readonly #mayOverwrite: boolean;
  #isOpen = true;

  private constructor(file: string, draft: string, begun: Begun, mayOverwrite: boolean) {
    this.path = file;
    this.handle = begun.handle;
    this.isClone = begun.isClone;
    this.#draft = draft;
    this.#mayOverwrite = mayOverwrite;
  }

  /**
   * Begins a file. Fails with `output-exists` when the name is taken and may not be overwritten. Whoever begins it calls `discard` in
   * the end, also after `complete`.
   */
  static async begin(file: string, { mayOverwrite, mode = 0o666, cloneOf }: DraftOptions): Promise<DraftFile> {
    await requireFree(file, mayOverwrite);
    const folder = path.dirname(file);
    try {
      await removeLeftDrafts(folder);
      const draft = path.join(folder, await newDraftName());
      return new DraftFile(file, draft, await beginDraft(draft, mode, cloneOf), mayOverwrite);
    } catch (error) {
      const hint = systemErrorCode(error) === 'ENOENT' ? 'Make the folder first' : 'Give another place';
      throw whileDoing(`writing ${file}`, error, { hint });
    }
  }

  /** Waits until everything is on the disk and gives the file its name. */
  async complete(): Promise<void> {
    try {
      await this.handle.sync();
      await this.#close();
      await this.#name();
      await syncFolder(path.dirname(this.path));
    } catch (error) {
      throw whileDoing(`writing ${this.path}`, error);
    }
  }

  /** Removes what was written, unless it is complete. */
  async discard(): Promise<void> {
    await this.#close();
    await rm(this.#draft, { force: true });
  }

  async #close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    await this.handle.close();
  }

  /** What has come up under the name in the meantime is replaced only if that was asked for. */
  async #name(): Promise<void> {
    if (!this.#mayOverwrite) {
      try {
        await link(this.#draft, this.path);
        return;
      } catch (error) {
        if (systemErrorCode(error) === 'EEXIST') throw outputExists(this.path);
        // Not every file system has links; there, the look before has to do.
        await requireFree(this.path, false);
      }
    }
    await rename(this.#draft, this.path);
  }
}

/** By its name it can be told whose it is. */
async function newDraftName(): Promise<string> {
  return `.davit-${await ownProcess()}-${randomBytes(4).toString('hex')}.partial`;
}

const draftName = /^\.davit-([\w.]+)-[0-9a-f]{8}\.partial$/;

/** Removes the drafts that processes left in a folder when they were killed. */
async function removeLeftDrafts(folder: string): Promise<void> {
  // What is wrong with the folder shows when the draft is made.
  for (const name of await readdir(folder).catch(() => [])) {
    const owner = draftName.exec(name)?.[1];
    if (owner === undefined || !(await isProcessGone(owner))) continue;
    // It may be somebody else's, or another davit may be removing it as well.
    await rm(path.join(folder, name), { force: true }).catch(() => undefined);
  }
}

/** Writes a whole file in this way. */
export async function writeDraft(file: string, content: string | Uint8Array, options: DraftOptions): Promise<void> {
  const draft = await DraftFile.begin(file, options);
  try {
    await draft.handle.writeFile(content);
    await draft.complete();
  } finally {
    await draft.discard();
  }
}

interface Begun {
  readonly handle: FileHandle;
  readonly isClone: boolean;
}

async function beginDraft(draft: string, mode: number, cloneOf: string | undefined): Promise<Begun> {
  if (cloneOf !== undefined && (await clone(cloneOf, draft))) {
    try {
      // A clone may be read and written by whom its origin may be, and that can be nobody.
      await chmod(draft, mode);
      return { handle: await open(draft, constants.O_RDWR), isClone: true };
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  }
  const handle = await open(draft, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, mode);
  return { handle, isClone: false };
}

async function clone(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
    return true;
  } catch {
    // Not every file system can clone, and each says so in its own way; what else is wrong shows when the draft is opened.
    return false;
  }
}

async function requireFree(file: string, mayOverwrite: boolean): Promise<void> {
  try {
    const existing = await stat(file);
    if (!existing.isFile()) {
      throw new Failure('usage', 'output-not-a-file', `${file} exists and is not a file`, {
        hint: 'Give the path of a file',
      });
    }
    if (!mayOverwrite) throw outputExists(file);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw whileDoing(`looking at ${file}`, error);
  }
}

function outputExists(file: string): Failure {
  return new Failure('refused', 'output-exists', `${file} exists already`, {
    hint: 'Use --force to replace it, or give another name',
  });
}

/** Makes the new name durable; Windows cannot open folders, and some network file systems cannot flush them. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder);
    await handle.sync().finally(() => handle.close());
  } catch (error) {
    if (!['EPERM', 'EACCES', 'EINVAL', 'EISDIR', 'ENOTSUP'].includes(systemErrorCode(error) ?? '')) throw error;
  }
}
