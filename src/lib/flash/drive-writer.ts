import { crc32 } from 'node:zlib';
import type { Drive } from '../drives/drive.js';
import { openDrive, type OpenDrive } from '../drives/open-drive.js';
import { Failure } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { run } from '../platform/child-process.js';
import { alignedBuffer } from './slot-pool.js';

/** Bytes at the start of a drive that hold its partition table, and at its end that hold the table's copy. */
export const tableSize = 1024 * 1024;

/** Sectors of drives are this large at most, so that what begins at a multiple of it can be written to any drive. */
const largestSector = 4096;

/** Where the end of a drive begins that may hold the copy of a partition table: its last MiB, and up to a sector more. */
export function tailStart({ size }: Pick<Drive, 'size'>): number {
  const start = Math.floor((size - tableSize) / largestSector) * largestSector;
  return Math.min(size, Math.max(start, tableSize));
}

/** Bytes that the end of a drive has at most, rounded up for `alignedBuffer`. */
export const largestTail = tableSize + 64 * 1024;

/** A run of bytes on a drive and the CRC-32 of what was written there; 0 where nothing is going to be read back. */
export interface WrittenRun {
  readonly start: number;
  readonly size: number;
  readonly checksum: number;
}

/**
 * Writes one drive. Between `open` and `writeTable` the drive holds no partition table, so whatever happens in between, nothing boots from
 * it.
 */
export class DriveWriter {
  readonly drive: Drive;
  readonly #opened: OpenDrive;

  private constructor(drive: Drive, opened: OpenDrive) {
    this.drive = drive;
    this.#opened = opened;
  }

  /** Whether reads come from the medium and not from a cache of this computer. */
  get isDirect(): boolean {
    return this.#opened.isDirect;
  }

  /** Opens a drive exclusively; nothing is written yet. */
  static async open(drive: Drive): Promise<DriveWriter> {
    return new DriveWriter(drive, await openDrive(drive));
  }

  /** Wipes the partition table and its copy at the end, and waits until the drive has done so. */
  async wipeTable(): Promise<void> {
    const { size } = this.drive;
    const zeros = alignedBuffer(largestTail);
    const end = tailStart(this.drive);
    await this.write(zeros.subarray(0, Math.min(size, tableSize)), 0);
    await this.write(zeros.subarray(0, size - end), end);
    await this.flush();
  }

  /** Writes all of an aligned buffer. */
  async write(bytes: Buffer, offset: number): Promise<void> {
    let done = 0;
    while (done < bytes.length) {
      const at = offset + done;
      const { bytesWritten } = await this.#attempt('writing', at, () =>
        this.#opened.handle.write(bytes, done, bytes.length - done, at),
      );
      if (bytesWritten === 0)
        throw driveFailed(this.drive, `writing ${this.drive.path} at byte ${at}: it took nothing`);
      done += bytesWritten;
    }
  }

  /** Reads a run back from the medium into an aligned buffer and compares it with what was written there. */
  async holds(run: WrittenRun, into: Buffer): Promise<boolean> {
    const bytes = into.subarray(0, run.size);
    let done = 0;
    while (done < bytes.length) {
      const at = run.start + done;
      const { bytesRead } = await this.#attempt('reading back', at, () =>
        this.#opened.handle.read(bytes, done, bytes.length - done, at),
      );
      if (bytesRead === 0)
        throw driveFailed(this.drive, `reading back ${this.drive.path} at byte ${at}: it gave nothing`);
      done += bytesRead;
    }
    return crc32(bytes) === run.checksum;
  }

  /** Waits until the drive has written everything to its medium. */
  async flush(): Promise<void> {
    await this.#attempt('flushing', undefined, () => this.#opened.handle.datasync());
  }

  /** Lets go of the drive. */
  async close(): Promise<void> {
    await this.#opened.handle.close();
  }

  /** Has the kernel look at the new partitions. Not all drives can have any, so it does not matter whether it works. */
  async announcePartitions(): Promise<void> {
    if (this.drive.isFile) return;
    try {
      await run('blockdev', ['--rereadpt', this.drive.path]);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
    }
  }

  async #attempt<T>(verb: string, offset: number | undefined, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const doing = `${verb} ${this.drive.path}${offset === undefined ? '' : ` at byte ${offset}`}`;
      if (systemErrorCode(error) === undefined) throw error;
      const described = whileDoing(doing, error);
      throw driveFailed(this.drive, described instanceof Error ? described.message : doing, error);
    }
  }
}

/** The failure of a drive that broke, vanished or ended while it was written. */
function driveFailed(drive: Drive, message: string, cause?: unknown): Failure {
  const what = drive.isFile ? 'file' : 'card or disk';
  return new Failure('failed', 'drive-failed', message, {
    hint: `The ${what} may have been pulled, be worn out, or be smaller than it claims; try another one`,
    cause,
  });
}
