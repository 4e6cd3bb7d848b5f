import { Failure } from '../failure/failure.js';
import type { BlockMap } from '../image/block-map.js';
import type { ProgressListener } from '../platform/progress.js';
import { DriveLane } from './drive-lane.js';
import type { WrittenRun } from './drive-thread.js';
import type { DriveWriter } from './drive-writer.js';
import type { ImageWindow } from './image-windows.js';
import { requireRoom } from './plan-flash.js';
import { StepMeter } from './step-meter.js';
import { TableWriter } from './table-writer.js';
import type { WriteEstimate } from './write-estimate.js';

/** What a drive is to be given besides the windows of the image. */
export interface DriveTaskOptions {
  /** What is known of the image, to tell in which partition something is wrong. */
  readonly map: BlockMap;
  readonly isToBeVerified: boolean;
  readonly estimate: WriteEstimate;
  readonly progress: ProgressListener;
}

/**
 * One drive's share of a flash: wiping the table, writing, verifying, and writing the table. It goes at its own pace, and a failure ends
 * it without an effect on the others.
 */
export class DriveTask {
  readonly writer: DriveWriter;
  failure: Failure | undefined;
  /** What the drive has for a partition table; unsure while one is being wiped or written, or when that failed. */
  table: 'old' | 'unsure' | 'none' | 'new' = 'old';
  bytesWritten = 0;
  bytesVerified = 0;
  readonly #options: DriveTaskOptions;
  readonly #lane: DriveLane;
  readonly #tableWriter: TableWriter;
  /** What was delivered, apart from what is held back. */
  readonly #runs: WrittenRun[] = [];
  #meter: StepMeter;

  constructor(writer: DriveWriter, options: DriveTaskOptions) {
    this.writer = writer;
    this.#options = options;
    this.#tableWriter = new TableWriter(writer);
    this.#lane = new DriveLane(writer, (bytes) => {
      this.bytesWritten += bytes;
      this.#meter.add(bytes);
    });
    this.#meter = this.#startMeter('write', () => options.estimate.total);
  }

  /** Takes a window of the image and what of it is to be written; it is held until that has been done. */
  deliver(window: ImageWindow, runs: readonly WrittenRun[]): void {
    if (this.failure !== undefined) return;
    try {
      const last = runs.at(-1);
      if (last !== undefined) requireRoom(this.writer.drive, { name: 'the image', size: last.start + last.size });
      const { body, tailSize } = this.#tableWriter.holdBack(window, runs);
      this.#meter.add(tailSize);
      this.#runs.push(...body);
      this.#lane.deliver(window, body);
    } catch (error) {
      this.#lane.stop(error);
    }
  }

  /** Says that the image is complete. */
  complete(): void {
    this.#lane.complete();
  }

  /** Ends what is being done, soon; `run` then fails with `interrupted`. */
  stop(): void {
    this.#lane.stop();
    this.writer.stop();
  }

  /** Does everything to the drive, in the order that never leaves a trap. A failure of the drive is kept; an interruption is passed on. */
  async run(): Promise<void> {
    try {
      await this.#wipe();
      await this.#lane.finished();
      await this.writer.flush();
      this.#meter.done();
      if (this.#options.isToBeVerified) await this.#verify();
      await this.#writeTable();
    } catch (error) {
      this.#lane.stop(error);
      if (!(error instanceof Failure) || error.kind === 'interrupted') throw error;
      this.failure = error;
      this.#meter.failed();
    }
  }

  /** Lets go of the drive; one that is neither as it was nor complete is left without a partition table. */
  async leave(): Promise<void> {
    if (this.table === 'unsure' && !this.writer.isHung) {
      this.writer.resume();
      // When the drive has vanished there is nothing to be done, and why it was given up is already being reported.
      await this.#wipe().catch(() => undefined);
    }
    await this.writer.close();
    if (this.table === 'old' || this.table === 'new') await this.writer.announcePartitions();
  }

  async #wipe(): Promise<void> {
    this.table = 'unsure';
    await this.writer.wipeTable();
    this.table = 'none';
  }

  async #verify(): Promise<void> {
    const total = this.#runs.reduce((sum, run) => sum + run.size, 0);
    this.#meter = this.#startMeter('verify', () => total);
    const [wrong] = await this.writer.check(this.#runs, (bytes) => {
      this.bytesVerified += bytes;
      this.#meter.add(bytes);
    });
    if (wrong !== undefined) {
      // A card that claims more room than it has may have put something of the image where the table belongs.
      this.table = 'unsure';
      throw differs(this.writer.drive.path, wrong, placeOf(wrong, this.#options.map));
    }
    this.#meter.done();
  }

  async #writeTable(): Promise<void> {
    this.table = 'unsure';
    await this.#tableWriter.write(
      this.#options.isToBeVerified,
      (bytes) => (this.bytesWritten += bytes),
      (bytes) => (this.bytesVerified += bytes),
      (run, place) => differs(this.writer.drive.path, run, place),
    );
    this.table = 'new';
  }

  #startMeter(phase: string, total: () => number): StepMeter {
    return new StepMeter(phase, this.writer.drive.path, total, this.#options.progress);
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
