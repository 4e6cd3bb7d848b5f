import { type BigIntStats } from 'node:fs';
import { constants, type FileHandle, open, readFile } from 'node:fs/promises';
import { Failure } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';

/** Bytes that can be read anywhere: an image file, a drive, a partition of one, or any of them with changes laid over. */
export interface BlockReader {
  /** Bytes in all. */
  readonly size: number;
  /** Exactly `length` bytes from `offset`; fewer is a failure. */
  read(offset: number, length: number): Promise<Buffer>;
}

/** Bytes that can be written anywhere within what exists. */
export interface BlockWriter {
  write(offset: number, data: Uint8Array): Promise<void>;
}

/** An open image file or drive. */
export class BlockFile implements BlockReader, BlockWriter {
  readonly path: string;
  readonly size: number;
  /** Whether this is a block device rather than a regular file. */
  readonly isDrive: boolean;
  readonly #handle: FileHandle;

  constructor(path: string, handle: FileHandle, size: number, isDrive: boolean) {
    this.path = path;
    this.#handle = handle;
    this.size = size;
    this.isDrive = isDrive;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length);
    await this.readInto(buffer, offset);
    return buffer;
  }

  /** Fills a buffer with the bytes from `offset`; fewer is a failure. */
  async readInto(target: Buffer, offset: number): Promise<void> {
    const { length } = target;
    let done = 0;
    while (done < length) {
      const { bytesRead } = await this.#attempt('reading', offset + done, () =>
        this.#handle.read(target, done, length - done, offset + done),
      );
      if (bytesRead === 0) throw shortRead(this.path, offset, length, offset + done);
      done += bytesRead;
    }
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    let done = 0;
    while (done < data.length) {
      const { bytesWritten } = await this.#attempt('writing', offset + done, () =>
        this.#handle.write(data, done, data.length - done, offset + done),
      );
      done += bytesWritten;
    }
  }

  /** Waits until everything written has reached the medium. */
  async sync(): Promise<void> {
    try {
      await this.#handle.sync();
    } catch (error) {
      throw whileDoing(`flushing ${this.path}`, error);
    }
  }

  /** Keeps other davits from locking it for as long as it is open; false when one of them has it. */
  async lock(): Promise<boolean> {
    const { lockDescriptor } = await import('../platform/lock-descriptor.js');
    return lockDescriptor(this.#handle.fd);
  }

  /** What is known of the open file, whatever its path names by now. */
  async stat(): Promise<BigIntStats> {
    return this.#handle.stat({ bigint: true });
  }

  /** Sets when it was read and written last, in milliseconds since 1970, where that is for this user to say. */
  async setTimes(accessedMs: number, modifiedMs: number): Promise<void> {
    try {
      await this.#handle.utimes(accessedMs / 1000, modifiedMs / 1000);
    } catch (error) {
      // Others than the owner may write a file, but not its times; its content is what counts.
      if (systemErrorCode(error) !== 'EPERM') throw whileDoing(`setting the times of ${this.path}`, error);
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #attempt<T>(verb: string, offset: number, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw whileDoing(`${verb} ${this.path} at byte ${offset}`, error);
    }
  }
}

/** Opens an image file or a drive; fails with `not-found`, `permission` or `usage` (a folder). The caller closes it. */
export async function openBlockFile(path: string, options: { readonly writable?: boolean } = {}): Promise<BlockFile> {
  const handle = await openOrFail(path, options.writable === true ? constants.O_RDWR : constants.O_RDONLY);
  try {
    const stats = await handle.stat();
    if (stats.isFile()) return new BlockFile(path, handle, stats.size, false);
    if (stats.isBlockDevice()) return new BlockFile(path, handle, await driveSize(handle, stats.rdev), true);
    throw new Failure('usage', 'not-a-file-or-drive', 'it is neither a file nor a drive', {
      hint: 'Give the path of an image file or of a whole drive, such as /dev/sdb',
    });
  } catch (error) {
    await handle.close();
    throw whileDoing(`opening ${path}`, error);
  }
}

/** A window onto part of a reader, such as one partition. Reading past its end is a failure. */
export function sliceOf(reader: BlockReader, start: number, size: number): BlockReader {
  return {
    size,
    read: (offset, length) => {
      if (offset < 0 || offset + length > size) {
        return Promise.reject(shortRead('the partition', offset, length, size));
      }
      return reader.read(start + offset, length);
    },
  };
}

function shortRead(what: string, offset: number, length: number, end: number): Failure {
  return new Failure(
    'failed',
    'unexpected-end',
    `reading ${length} bytes at byte ${offset} of ${what}: it ends at byte ${end}`,
  );
}

/** Windows has no such flag. */
const nonBlocking: number = 'O_NONBLOCK' in constants ? constants.O_NONBLOCK : 0;

const openHints: Readonly<Record<string, string>> = {
  ENOENT: 'Check the path',
  EACCES: 'Check who may read it; drives can be opened by root only, so put sudo in front',
};

async function openOrFail(path: string, flags: number): Promise<FileHandle> {
  try {
    // A named pipe without a writer would never open; files and drives do not care.
    return await open(path, flags | nonBlocking);
  } catch (error) {
    const hint = openHints[systemErrorCode(error) ?? ''];
    throw whileDoing(`opening ${path}`, error, hint === undefined ? {} : { hint });
  }
}

/** Node cannot seek to the end or ask by ioctl; Linux tells the size in /sys, elsewhere it is found by reading. */
async function driveSize(handle: FileHandle, device: number): Promise<number> {
  // The layout of Linux's dev_t (gnu_dev_major and gnu_dev_minor of glibc), whose high half is zero here.
  const major = (device >>> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >>> 12) & 0xfff00);
  try {
    const sectors = Number(await readFile(`/sys/dev/block/${major}:${minor}/size`, 'utf8'));
    return sectors * 512;
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
    return sizeByReading(handle);
  }
}

async function sizeByReading(handle: FileHandle): Promise<number> {
  // Drives are read in whole sectors; 4096 is a multiple of every sector size in use.
  const unit = 4096;
  const buffer = Buffer.alloc(unit);
  const exists = async (index: number) => {
    try {
      return (await handle.read(buffer, 0, unit, index * unit)).bytesRead > 0;
    } catch (error) {
      if (systemErrorCode(error) === 'EINVAL') return false;
      throw error;
    }
  };
  let known = 0;
  let beyond = 1;
  while (await exists(beyond)) {
    known = beyond;
    beyond *= 2;
  }
  while (beyond - known > 1) {
    const middle = Math.floor((known + beyond) / 2);
    if (await exists(middle)) known = middle;
    else beyond = middle;
  }
  const last = await handle.read(buffer, 0, unit, known * unit);
  return known * unit + last.bytesRead;
}
