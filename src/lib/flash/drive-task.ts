import { crc32 } from 'node:zlib';
import { Failure, interrupted } from '../failure/failure.js';
import type { BlockMap } from '../image/block-map.js';
import type { ProgressListener } from '../platform/progress.js';
import { type DriveWriter, largestTail, tailStart, type WrittenRun } from './drive-writer.js';
import type { ImageWindow } from './image-windows.js';
import { requireRoom } from './plan-flash.js';
import { alignedBuffer, type SlotPool } from './slot-pool.js';
import { StepMeter } from './step-meter.js';

/** What one drive is given to write, and whom to tell when its memory is no longer needed. */
interface Delivery {
  readonly window: ImageWindow;
  readonly runs: readonly WrittenRun[];
  readonly release: () => void;
}

/** A run that is written only when everything else is known to be right, and its bytes. */
interface HeldRun {
  readonly run: WrittenRun;
  readonly bytes: Buffer;
}

/** Windows that are written to one drive at a time: enough that it never waits for the next one. */
const writesInFlight = 2;
const readsInFlight = 3;

/**
 * One drive's share of a flash. A drive that fails says so once, in `failure`; from then on it takes what it is given without doing
 * anything, so that it does not hold up the others.
 */
export class DriveTask {
  readonly writer: DriveWriter;
  failure: Failure | undefined;
  /** What the drive has for a partition table; unsure while one is being wiped or written, or when that failed. */
  table: 'old' | 'unsure' | 'none' | 'new' = 'old';
  bytesWritten = 0;
  bytesVerified = 0;
  readonly #progress: ProgressListener;
  readonly #meter: StepMeter;
  readonly #queue: Delivery[] = [];
  /** Where the part of the drive begins that may hold the copy of the partition table; what is for it is held back. */
  readonly #tailStart: number;
  readonly #held: HeldRun[] = [];
  #tail: Buffer | undefined;
  #isWritten = false;
  #inFlight = 0;
  #onIdle: (() => void) | undefined;

  /** @param total bytes to write in all, given the bytes written so far */
  constructor(writer: DriveWriter, total: (written: number) => number, progress: ProgressListener) {
    this.writer = writer;
    this.#progress = progress;
    this.#tailStart = tailStart(writer.drive);
    this.#meter = new StepMeter('write', writer.drive.path, total, progress);
  }

  /** Does one thing to the drive unless it has failed; a failure is kept, an interruption passed on. */
  async attempt(work: () => Promise<void>): Promise<void> {
    if (this.failure !== undefined) return;
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Failure) || error.kind === 'interrupted') throw error;
      this.failure = error;
      if (!this.#isWritten) this.#meter.failed();
    }
  }

  /** Wipes the old partition table. */
  async wipe(): Promise<void> {
    this.table = 'unsure';
    await this.writer.wipeTable();
    this.table = 'none';
  }

  /** Takes runs of a window to be written soon; `release` is called when they are, or when the drive has failed. */
  deliver(delivery: Delivery): void {
    this.#queue.push(delivery);
    this.#pump();
  }

  /** Waits until everything delivered has been written or given up. */
  async idle(): Promise<void> {
    if (this.#inFlight === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }

  /** Waits until everything written has reached the medium, and says that writing is over. */
  async finishWriting(): Promise<void> {
    await this.writer.flush();
    this.#isWritten = true;
    this.#meter.done();
  }

  /** Writes the copy of the new partition table, if the image has one for this drive, and then the table, after which the drive boots. */
  async writeTable(head: Buffer, isToBeVerified: boolean, pool: SlotPool, signal: AbortSignal): Promise<void> {
    const table: HeldRun = { run: { start: 0, size: head.length, checksum: crc32(head) }, bytes: head };
    this.table = 'unsure';
    for (const [held, place] of [
      [this.#held, 'at the end of the drive'],
      [[table], 'in the partition table'],
    ] as const) {
      await this.#writeHeld(held);
      if (isToBeVerified) await this.#verifyHeld(held, place, pool, signal);
    }
    this.table = 'new';
  }

  /** Reads everything that is not held back from the medium. Fails at the first run that differs, saying where it is. */
  async verify(written: readonly WrittenRun[], pool: SlotPool, map: BlockMap, signal: AbortSignal): Promise<void> {
    const runs = written.filter((run) => run.start < this.#tailStart);
    const total = runs.reduce((sum, run) => sum + run.size, 0);
    const meter = new StepMeter('verify', this.writer.drive.path, () => total, this.#progress);
    const next = runs.values();
    let isOver = false;
    const readOn = async () => {
      for (const run of next) {
        if (isOver) return;
        const slot = await pool.take(signal);
        try {
          if (signal.aborted) throw interrupted();
          if (!(await this.writer.holds(run, slot.bytes)))
            throw differs(this.writer.drive.path, run, placeOf(run, map));
          this.bytesVerified += run.size;
          meter.add(run.size);
        } catch (error) {
          isOver = true;
          throw error;
        } finally {
          pool.giveBack(slot);
        }
      }
    };
    const results = await Promise.allSettled(Array.from({ length: readsInFlight }, readOn));
    for (const result of results) {
      if (result.status !== 'rejected') continue;
      meter.failed();
      throw result.reason;
    }
    meter.done();
  }

  #pump(): void {
    while (this.#inFlight < writesInFlight) {
      const delivery = this.#queue.shift();
      if (delivery === undefined) break;
      this.#inFlight += 1;
      void this.#write(delivery);
    }
    if (this.#inFlight === 0) this.#onIdle?.();
  }

  async #write({ window, runs, release }: Delivery): Promise<void> {
    const work = async () => {
      for (const run of runs) {
        const { start, size } = run;
        if (this.failure !== undefined) return;
        requireRoom(this.writer.drive, { name: 'the image', size: start + size });
        const bytes = window.slot.bytes.subarray(start - window.start, start - window.start + size);
        if (start >= this.#tailStart) this.#hold(run, bytes);
        else {
          await this.writer.write(bytes, start);
          this.bytesWritten += size;
        }
        this.#meter.add(size);
      }
    };
    await this.attempt(work);
    release();
    this.#inFlight -= 1;
    this.#pump();
  }

  #hold(run: WrittenRun, bytes: Buffer): void {
    this.#tail ??= alignedBuffer(largestTail);
    const at = run.start - this.#tailStart;
    bytes.copy(this.#tail, at);
    this.#held.push({ run, bytes: this.#tail.subarray(at, at + run.size) });
  }

  async #writeHeld(held: readonly HeldRun[]): Promise<void> {
    for (const { run, bytes } of held) {
      await this.writer.write(bytes, run.start);
      this.bytesWritten += run.size;
    }
    await this.writer.flush();
  }

  async #verifyHeld(held: readonly HeldRun[], place: string, pool: SlotPool, signal: AbortSignal): Promise<void> {
    for (const { run } of held) {
      const slot = await pool.take(signal);
      const isSame = await this.writer.holds(run, slot.bytes).finally(() => {
        pool.giveBack(slot);
      });
      if (!isSame) throw differs(this.writer.drive.path, run, place);
      this.bytesVerified += run.size;
    }
  }
}

/** Where a run lies, in the user's words. */
function placeOf(run: WrittenRun, map: BlockMap): string {
  const partition = map.partitions.find((one) => one.start < run.start + run.size && run.start < one.start + one.size);
  if (partition === undefined) return 'outside all partitions';
  return `in partition ${partition.number}${partition.name === undefined ? '' : ` (${partition.name})`}`;
}

function differs(path: string, run: WrittenRun, place: string): Failure {
  const range = `bytes ${run.start} to ${run.start + run.size - 1}, ${place},`;
  return new Failure(
    'failed',
    'verification-failed',
    `${path} does not hold what was written to it: ${range} read back differently`,
    { hint: 'The card is probably worn out or counterfeit; try another card, then another reader' },
  );
}
