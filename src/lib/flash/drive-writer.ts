import type { Drive } from '../drives/drive.js';
import { openDrive, type OpenDrive } from '../drives/open-drive.js';
import { Failure, interrupted } from '../failure/failure.js';
import { systemErrorWords } from '../failure/while-doing.js';
import { run } from '../platform/child-process.js';
import { type BytesListener, DriveChannel, DriveFaultError } from './drive-channel.js';
import type { DrivePiece, DriveWork, WrittenRun } from './drive-thread.js';

/** Bytes at the start of a drive that hold its partition table, and at its end that hold the table's copy. */
export const tableSize = 1024 * 1024;

/** Sectors of drives are this large at most, so that what begins at a multiple of it can be written to any drive. */
export const largestSector = 4096;

/** Where the end of a drive begins that may hold the copy of a partition table: its last MiB, and up to a sector more. */
export function tailStart({ size }: Pick<Drive, 'size'>): number {
  const start = Math.floor((size - tableSize) / largestSector) * largestSector;
  return Math.min(size, Math.max(start, tableSize));
}

/** Bytes that the end of a drive has at most, rounded up for `alignedBuffer`. */
export const largestTail = tableSize + 64 * 1024;

/** How long one request to a drive may take, in milliseconds: more than the kernel waits before it resets a card reader. */
const defaultStallMs = 60_000;

/**
 * Writes one drive, through a thread of its own. What it is asked is done in that order, so nothing needs to be waited for before the next
 * request; after one that failed, none of those behind it are begun.
 */
export class DriveWriter {
  readonly drive: Drive;
  /** Whether reads come from the medium and not from a cache of this computer. */
  readonly isDirect: boolean;
  readonly #opened: OpenDrive;
  readonly #channel: DriveChannel;
  readonly #stallMs: number;

  private constructor(drive: Drive, opened: OpenDrive, stallMs: number) {
    this.drive = drive;
    this.isDirect = opened.isDirect;
    this.#opened = opened;
    this.#stallMs = stallMs;
    this.#channel = new DriveChannel(opened.handle.fd, stallMs);
  }

  /** Opens a drive exclusively; nothing is written yet. */
  static async open(drive: Drive, stallMs = defaultStallMs): Promise<DriveWriter> {
    return new DriveWriter(drive, await openDrive(drive), stallMs);
  }

  /** Whether the drive no longer answers and was given up. */
  get isHung(): boolean {
    return this.#channel.isHung;
  }

  /** Wipes the partition table and its copy at the end, and waits until the drive has done so. */
  async wipeTable(): Promise<void> {
    const { size } = this.drive;
    const end = tailStart(this.drive);
    const ranges = [
      { start: 0, size: Math.min(size, tableSize) },
      { start: end, size: size - end },
    ];
    const zeroed = this.#request({ kind: 'zero', ranges });
    await Promise.all([zeroed, this.flush()]);
  }

  /** Writes pieces of aligned shared memory, which must stay as they are meanwhile. */
  async write(pieces: readonly DrivePiece[], onBytes?: BytesListener): Promise<void> {
    await this.#request({ kind: 'write', pieces }, onBytes);
  }

  /** Writes what differs of pieces of aligned shared memory from what is there, and gives those of which anything did. */
  async rewrite(pieces: readonly DrivePiece[], onBytes?: BytesListener): Promise<readonly DrivePiece[]> {
    const wrong = await this.#request({ kind: 'rewrite', pieces }, onBytes);
    return wrong.flatMap((index) => pieces[index] ?? []);
  }

  /** Reads into a piece of aligned shared memory. */
  async read(piece: DrivePiece): Promise<void> {
    await this.#request({ kind: 'read', pieces: [piece] });
  }

  /** Waits until the drive has written everything to its medium. */
  async flush(): Promise<void> {
    await this.#request({ kind: 'flush' });
  }

  /** Reads runs back from the medium and gives those that cannot be read or differ from what was written there, at most so many. */
  async check(
    runs: readonly WrittenRun[],
    { most = Number.POSITIVE_INFINITY, onBytes }: { readonly most?: number; readonly onBytes?: BytesListener } = {},
  ): Promise<readonly WrittenRun[]> {
    const wrong = await this.#request({ kind: 'check', runs, most }, onBytes);
    return wrong.flatMap((index) => runs[index] ?? []);
  }

  /** Has everything that was asked fail with `interrupted`, soon. */
  stop(): void {
    this.#channel.stop();
  }

  /** Waits until nothing is being done any more, and makes the drive usable again after a failure, unless it was stopped. */
  async recover(): Promise<void> {
    await this.#channel.idle();
    this.#channel.recover();
  }

  /** Does the same after a stop as well. */
  async resume(): Promise<void> {
    await this.#channel.idle();
    this.#channel.resume();
  }

  /** Lets go of the drive. */
  async close(): Promise<void> {
    await this.#channel.end();
    // The thread of such a drive may still use the descriptor, whose number must not come to stand for something else.
    if (!this.#channel.isHung) await this.#opened.handle.close();
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

  async #request(work: DriveWork, onBytes?: BytesListener): Promise<readonly number[]> {
    try {
      return await this.#channel.request(work, onBytes);
    } catch (error) {
      throw error instanceof DriveFaultError ? this.#explain(error) : error;
    }
  }

  #explain({ fault: { verb, offset, code, reason } }: DriveFaultError): Failure {
    const { path, isFile } = this.drive;
    const doing = `${verb} ${path}${offset === undefined ? '' : ` at byte ${offset}`}`;
    const failed = (what: string) =>
      new Failure('failed', 'drive-failed', `${doing}: ${what}`, {
        hint: `The ${isFile ? 'file' : 'card or disk'} may have been pulled, be worn out, or be smaller than it claims; try another one`,
      });
    switch (reason) {
      case 'stopped':
        return interrupted();
      case 'nothing-moved':
        return failed(verb === 'writing' ? 'it took nothing' : 'it gave nothing');
      case 'error':
        return failed(systemErrorWords(code ?? ''));
      case 'stalled':
        return new Failure(
          'failed',
          'drive-stalled',
          `${path} has not answered for ${Math.round(this.#stallMs / 1000)} seconds and was given up`,
          { hint: 'The card or its reader hangs: pull it, and try another card, then another reader' },
        );
    }
  }
}
