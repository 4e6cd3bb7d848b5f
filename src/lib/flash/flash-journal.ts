import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { driveKey, type KnownDrive } from '../drives/drive-key.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { folders } from '../platform/environment.js';
import { isRecord } from '../platform/json.js';

/** What tells an image from most others before it has been read. */
export interface ImageIdentity {
  readonly name: string;
  /** Bytes, where they are known. */
  readonly size: number | undefined;
  /** Of its first bytes, among which are the identifiers in its partition table. */
  readonly fingerprint: string;
}

/** A journal older than this is about a card that has long been used for something else. */
const longestAge = 30 * 24 * 60 * 60 * 1000;

/** The fingerprint of an image that begins with these bytes. */
export function fingerprintOf(head: Buffer): string {
  return createHash('sha256').update(head).digest('hex').slice(0, 32);
}

/**
 * How far the flash of one drive has come, kept in davit's state folder so that the next one can go on there. It is only a hint: whatever
 * a drive is said to hold is read and compared before it is left alone, so that a wrong journal costs time and nothing else.
 */
export class FlashJournal {
  readonly #drive: KnownDrive;
  readonly #image: ImageIdentity;
  readonly #folder: string;

  constructor(drive: KnownDrive, image: ImageIdentity, folder = journalFolder()) {
    this.#drive = drive;
    this.#image = image;
    this.#folder = folder;
  }

  /** Up to which byte an earlier flash of the same image to the same drive came, or undefined when there was none. */
  async reached(now = Date.now()): Promise<number | undefined> {
    const file = await this.#file();
    let text: string;
    try {
      if (now - (await stat(file)).mtimeMs > longestAge) return undefined;
      text = await readFile(file, 'utf8');
    } catch (error) {
      // Where a journal cannot be read none can be written either, which will be said then.
      if (systemErrorCode(error) !== undefined) return undefined;
      throw error;
    }
    const entry = parseEntry(text);
    const isSame = entry?.fingerprint === this.#image.fingerprint && entry.size === this.#image.size;
    return isSame ? entry.reached : undefined;
  }

  /** Notes that everything before a byte has reached the medium. */
  async record(reached: number): Promise<void> {
    const { name, size, fingerprint } = this.#image;
    const entry = { version: 1, drive: this.#drive.path, image: { name, size, fingerprint }, reached };
    const file = await this.#file();
    const temporary = temporaryOf(file);
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      await writeFile(temporary, `${JSON.stringify(entry, null, 2)}\n`, { mode: 0o600 });
      await rename(temporary, file);
    } catch (error) {
      throw whileDoing(`noting in ${this.#folder} how far the flash of ${this.#drive.path} came`, error);
    }
  }

  /** Forgets the flash, because it is done. */
  async remove(): Promise<void> {
    const file = await this.#file();
    try {
      for (const one of [file, temporaryOf(file)]) await rm(one, { force: true });
    } catch (error) {
      throw whileDoing(`removing ${file}`, error);
    }
  }

  async #file(): Promise<string> {
    return path.join(this.#folder, `${await driveKey(this.#drive)}.json`);
  }
}

/** Only one davit at a time has a drive, so this need not be different each time, and what is left behind is found again. */
function temporaryOf(file: string): string {
  return `${file}.new`;
}

/** Removes journals that are too old to be of use. */
export async function removeOldJournals(folder = journalFolder(), now = Date.now()): Promise<void> {
  try {
    for (const name of await readdir(folder)) {
      const file = path.join(folder, name);
      if (now - (await stat(file)).mtimeMs > longestAge) await rm(file, { force: true });
    }
  } catch (error) {
    // Another davit may be removing them as well.
    if (systemErrorCode(error) !== 'ENOENT') throw whileDoing(`removing old files in ${folder}`, error);
  }
}

function journalFolder(): string {
  return path.join(folders.state(), 'flash');
}

interface JournalEntry {
  readonly fingerprint: string;
  readonly size: number | undefined;
  readonly reached: number;
}

function parseEntry(text: string): JournalEntry | undefined {
  let entry: unknown;
  try {
    entry = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(entry) || entry.version !== 1 || !isRecord(entry.image)) return undefined;
  const { fingerprint, size } = entry.image;
  const { reached } = entry;
  if (typeof fingerprint !== 'string' || typeof reached !== 'number' || !Number.isSafeInteger(reached))
    return undefined;
  return { fingerprint, size: typeof size === 'number' ? size : undefined, reached: Math.max(0, reached) };
}
