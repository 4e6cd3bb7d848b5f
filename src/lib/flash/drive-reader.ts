import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Drive } from '../drives/drive.js';
import { Failure } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { BlockFile, type BlockReader } from '../image/block-file.js';
import type { Partition } from '../image/partition-table.js';
import { commandLineAsRoot } from '../platform/environment.js';
import { alignedBuffer } from './aligned-memory.js';

/** What a drive says when it cannot read something, or is gone. */
const readErrors = ['EIO', 'ENODATA', 'EILSEQ', 'ENXIO', 'ENODEV', 'ENOMEDIUM', 'EREMOTEIO', 'ETIMEDOUT'];

/** A failed request is tried again in pieces of this size, to find out where the fault is: the largest sectors there are. */
const pieceSize = 4096;

/** What is read at once to learn the map of a drive, and what it takes to align that. */
const scratchSize = 4 * 1024 * 1024 + 64 * 1024;

/** Reads a drive past the page cache and says exactly where it cannot be read. */
export class DriveReader implements BlockReader {
  readonly size: number;
  readonly #file: BlockFile;
  readonly #partitions: () => readonly Partition[];
  readonly #scratch = alignedBuffer(scratchSize);

  private constructor(file: BlockFile, partitions: () => readonly Partition[]) {
    this.#file = file;
    this.size = file.size;
    this.#partitions = partitions;
  }

  /** @param partitions what is known to lie where on it, to say so when it cannot be read */
  static async open(drive: Drive, partitions: () => readonly Partition[]): Promise<DriveReader> {
    // The last bytes of a file, or what some file systems hold, cannot be read past the cache.
    const direct = process.platform === 'linux' && !drive.isFile ? constants.O_DIRECT : 0;
    try {
      const handle = await open(drive.path, constants.O_RDONLY | direct);
      return new DriveReader(new BlockFile(drive.path, handle, drive.size, !drive.isFile), partitions);
    } catch (error) {
      throw whileDoing(`opening ${drive.path}`, error, { hint: `Run it as root: ${commandLineAsRoot()}` });
    }
  }

  /** At most 4 MiB, one request after the other. */
  async read(offset: number, length: number): Promise<Buffer> {
    const start = Math.floor(offset / pieceSize) * pieceSize;
    const end = Math.min(Math.ceil((offset + length) / pieceSize) * pieceSize, Math.max(this.size, offset + length));
    const aligned = this.#scratch.subarray(0, end - start);
    await this.readInto(aligned, start);
    return Buffer.from(aligned.subarray(offset - start, offset - start + length));
  }

  /** Fills aligned memory with the bytes from `offset`. What cannot be read at once is tried a second time, piece by piece. */
  async readInto(target: Buffer, offset: number): Promise<void> {
    try {
      await this.#file.readInto(target, offset);
    } catch (error) {
      if (!isReadError(error)) throw error;
      for (let at = 0; at < target.length; at += pieceSize) {
        await this.#readPiece(target.subarray(at, at + pieceSize), offset + at);
      }
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #readPiece(target: Buffer, offset: number): Promise<void> {
    try {
      await this.#file.readInto(target, offset);
    } catch (error) {
      if (!isReadError(error)) throw error;
      const partition = this.#partitions().find(({ start, size }) => start <= offset && offset < start + size);
      const name = partition?.name === undefined ? '' : ` (${partition.name})`;
      const place = partition === undefined ? 'outside all partitions' : `in partition ${partition.number}${name}`;
      throw new Failure('failed', 'drive-unreadable', `${this.#file.path} cannot be read at byte ${offset}, ${place}`, {
        hint: 'Clean its contacts or try another reader; what can still be read can be rescued with ddrescue',
        cause: error,
      });
    }
  }
}

function isReadError(error: unknown): boolean {
  const cause = error instanceof Failure ? error.cause : error;
  return readErrors.includes(systemErrorCode(cause) ?? '');
}
