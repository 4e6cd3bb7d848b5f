import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import type { BlockFile } from '../image/block-file.js';
import type { ByteRange } from '../image/partition-table.js';
import { folders } from '../platform/environment.js';
import type { ImageWindow } from './image-windows.js';

/** Windows of an image that can be read again later, so that a slow drive does not have to hold them in memory. */
export interface PreparedCopy {
  /** Sees to it that ranges of a window can be read again. Fails when they cannot. */
  readonly keep: (window: ImageWindow, ranges: readonly ByteRange[]) => Promise<void>;
  /** Whether a range that was kept once, or not, can be read again. */
  readonly has: (range: ByteRange) => boolean;
  /** Reads bytes of the image that were kept. */
  readonly read: (target: Buffer, offset: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** A file that is not packed is its own copy. Its end is padded with zeros. */
export function copyInFile(file: BlockFile): PreparedCopy {
  return {
    keep: () => Promise.resolve(),
    has: () => true,
    read: async (target, offset) => {
      const there = Math.min(target.length, Math.max(0, file.size - offset));
      await file.readInto(target.subarray(0, there), offset);
      target.fill(0, there);
    },
    close: () => Promise.resolve(),
  };
}

/**
 * A sparse file in davit's cache folder, which is made when the first window is kept and has no name from then on, so that nothing is left
 * behind whatever happens.
 */
export class SpoolFile implements PreparedCopy {
  /** Sizes of the ranges that were kept by where they begin: drives get the same runs of a window, changes apart. */
  readonly #kept = new Map<number, number>();
  #opening: Promise<FileHandle> | undefined;
  readonly #folder: () => string;

  constructor(folder: () => string = folders.cache) {
    this.#folder = folder;
  }

  readonly keep = async (window: ImageWindow, ranges: readonly ByteRange[]): Promise<void> => {
    const isNew = (range: ByteRange) => (this.#kept.get(range.start) ?? 0) < range.size;
    for (const range of ranges.filter(isNew)) {
      await this.#write(window.bytesOf(range), range.start);
      this.#kept.set(range.start, range.size);
    }
  };

  readonly has = ({ start, size }: ByteRange): boolean => (this.#kept.get(start) ?? 0) >= size;

  readonly read = async (target: Buffer, offset: number): Promise<void> => {
    const handle = await this.#open();
    for (let done = 0; done < target.length;) {
      const { bytesRead } = await handle.read(target, done, target.length - done, offset + done);
      if (bytesRead === 0)
        throw new Failure('failed', 'unexpected-end', `the spool file in ${this.#folder()} ends early`);
      done += bytesRead;
    }
  };

  readonly close = async (): Promise<void> => {
    const handle = await this.#opening?.catch(() => undefined);
    await handle?.close();
  };

  async #write(bytes: Buffer, offset: number): Promise<void> {
    try {
      const handle = await this.#open();
      for (let done = 0; done < bytes.length;) {
        done += (await handle.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
      }
    } catch (error) {
      throw whileDoing(`keeping a copy of the image in ${this.#folder()}`, error);
    }
  }

  #open(): Promise<FileHandle> {
    this.#opening ??= openNameless(this.#folder());
    return this.#opening;
  }
}

async function openNameless(folder: string): Promise<FileHandle> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = path.join(folder, `spool-${randomBytes(6).toString('hex')}`);
  const handle = await open(file, 'wx+', 0o600);
  await rm(file);
  return handle;
}
