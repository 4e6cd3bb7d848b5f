import { eject, type Ejection } from '../drives/eject.js';
import { Failure, interrupted } from '../failure/failure.js';
import type { ProgressListener } from '../platform/progress.js';
import { discardRest } from './discard-rest.js';
import { DriveLane, type LaneMeans } from './drive-lane.js';
import type { WrittenRun } from './drive-thread.js';
import type { DriveWriter } from './drive-writer.js';
import type { FlashJournal } from './flash-journal.js';
import type { ImagePiece, ImageVariant } from './image-variant.js';
import type { ImageWindow } from './image-windows.js';
import { PhaseClock } from './phase-clock.js';
import type { DriveExtras } from './plan-extras.js';
import { requireRoom, type VerifyMode } from './plan-flash.js';
import { probeDrive } from './probe-drive.js';
import type { RecallMeans } from './recall-runs.js';
import { RunWriter } from './run-writer.js';
import { sampleRuns } from './sample-runs.js';
import { StepMeter } from './step-meter.js';
import { TableWriter } from './table-writer.js';
import { readsBackDifferently, verifyRuns } from './verify-runs.js';
import type { WriteEstimate } from './write-estimate.js';

/** What a drive is to be given besides the windows of the image. */
export interface DriveTaskOptions {
  readonly extras: DriveExtras;
  readonly journal: FlashJournal;
  readonly lane: LaneMeans;
  /** The image as this drive gets it. */
  readonly variant: ImageVariant;
  readonly verify: VerifyMode;
  /** Where what is wrong on the drive can be had from once more. */
  readonly recall: Omit<RecallMeans, 'variant'>;
  readonly estimate: WriteEstimate;
  readonly progress: ProgressListener;
}

/**
 * One drive's share of a flash: wiping the table, writing, verifying, and writing the table. It goes at its own pace, and a failure ends
 * it without an effect on the others.
 */
export class DriveTask {
  readonly variant: ImageVariant;
  readonly phases: PhaseClock;
  readonly writer: DriveWriter;
  readonly lane: DriveLane;
  failure: Failure | undefined;
  isEjected = false;
  /** What the drive has for a partition table; unsure while one is being wiped or written, or when that failed. */
  table: 'old' | 'unsure' | 'none' | 'new' = 'old';
  bytesWritten = 0;
  /** Bytes that were there already. */
  bytesSkipped = 0;
  bytesVerified = 0;
  /** Runs that had to be written again. */
  runsRepaired = 0;
  readonly #options: DriveTaskOptions;
  readonly #stopping = new AbortController();
  readonly #runWriter: RunWriter;
  readonly #tableWriter: TableWriter;
  /** What was delivered, apart from what is held back. */
  readonly #runs: WrittenRun[] = [];
  #hasDiscarded = false;
  #meter: StepMeter;

  constructor(writer: DriveWriter, options: DriveTaskOptions) {
    this.writer = writer;
    this.#options = options;
    this.variant = options.variant;
    this.phases = new PhaseClock(writer.drive.path, options.progress);
    this.#tableWriter = new TableWriter(writer);
    const onBytes = (bytes: number, skipped: number) => {
      this.bytesWritten += bytes - skipped;
      this.bytesSkipped += skipped;
      this.#meter.add(bytes);
    };
    this.#runWriter = new RunWriter(writer, { ...options, onBytes });
    this.lane = new DriveLane((pieces) => this.#runWriter.write(pieces), options.lane);
    this.#meter = this.#startMeter('write', () => options.estimate.total);
  }

  /** Takes a window of the image and what of it is to be written; it is held until that has been done. */
  deliver(window: ImageWindow, pieces: readonly ImagePiece[]): void {
    if (this.failure !== undefined) return;
    try {
      const last = pieces.at(-1)?.run;
      if (last !== undefined) requireRoom(this.writer.drive, { name: 'the image', size: last.start + last.size });
      const { body, tailSize } = this.#tableWriter.holdBack(pieces);
      this.#meter.add(tailSize);
      for (const { run } of body) this.#runs.push(run);
      this.lane.deliver(window, body);
    } catch (error) {
      this.lane.stop(error);
    }
  }

  /** Says that the image is complete. */
  complete(): void {
    this.lane.complete();
  }

  /** Ends what is being done, soon; `run` then fails with `interrupted`. */
  stop(): void {
    this.#stopping.abort();
    this.lane.stop();
    this.writer.stop();
  }

  /** Does everything to the drive, in the order that never leaves a trap. A failure of the drive is kept; an interruption is passed on. */
  async run(): Promise<void> {
    const { extras, progress } = this.#options;
    const { signal } = this.#stopping;
    try {
      await this.#runWriter.begin();
      // What has not been touched is left as it was.
      if (signal.aborted) throw interrupted();
      await this.phases.time('wipe', () => this.#wipe(), true);
      if (extras.probe) await probeDrive(this.writer, signal, progress);
      await this.phases.time('write', () => this.#write());
      await this.#discard();
      if (this.#options.verify !== 'none') await this.phases.time('verify', () => this.#verify());
      await this.phases.time('table', () => this.#writeTable(), true);
      await this.#runWriter.done();
    } catch (error) {
      this.lane.stop(error);
      if (!(error instanceof Failure) || error.kind === 'interrupted') throw error;
      this.failure = error;
      this.#meter.failed();
    } finally {
      this.phases.end();
    }
  }

  /** Lets go of the drive; one that is neither as it was nor complete is left without a partition table. */
  async leave(): Promise<void> {
    if (this.table === 'unsure') {
      await this.writer.resume();
      // When the drive has vanished there is nothing to be done, and why it was given up is already being reported.
      await this.#wipe().catch(() => undefined);
    }
    await this.writer.close();
    const { eject } = this.#options.extras;
    const isEjected = this.table === 'new' && eject !== null && (await this.#eject(eject));
    if (!isEjected && (this.table === 'old' || this.table === 'new')) await this.writer.announcePartitions();
  }

  /** Makes the drive safe to pull; it is done, so that this cannot be is no failure. */
  async #eject(ejection: Ejection): Promise<boolean> {
    const { progress } = this.#options;
    try {
      await eject(this.writer.drive, ejection);
      this.isEjected = ejection.way !== 'nothing';
      progress({ type: 'notice', level: 'info', text: ejection.outcome });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      progress({ type: 'notice', level: 'warning', text: `${error.message}; it is done and flushed` });
    }
    return this.isEjected;
  }

  async #wipe(): Promise<void> {
    this.table = 'unsure';
    await this.writer.wipeTable();
    this.table = 'none';
  }

  async #write(): Promise<void> {
    this.lane.open();
    await this.lane.finished();
    await this.writer.flush();
    this.#meter.done();
  }

  async #discard(): Promise<void> {
    const { extras, progress } = this.#options;
    if (extras.discard === null) return;
    const { drive } = this.writer;
    if (typeof extras.discard === 'string') {
      progress({ type: 'notice', level: 'info', text: `Nothing is discarded on ${drive.path}: ${extras.discard}` });
      return;
    }
    this.#hasDiscarded = true;
    await discardRest(drive, this.#runs, extras.discard, { signal: this.#stopping.signal, progress });
  }

  async #verify(): Promise<void> {
    const { verify, recall, progress } = this.#options;
    // Some drives forget more than they were told to.
    const runs = this.#hasDiscarded ? this.#runs : this.#runWriter.toVerify(this.#runs);
    const known = sizeOf(this.#runs) - sizeOf(runs);
    const chosen = verify === 'sample' ? sampleRuns(runs, this.variant.map.partitions) : runs;
    const startPass = (pass: readonly WrittenRun[]) => {
      const total = sizeOf(pass);
      this.bytesVerified = pass === chosen ? known : 0;
      this.#meter = this.#startMeter('verify', () => total);
      return (bytes: number) => {
        this.bytesVerified += bytes;
        this.#meter.add(bytes);
      };
    };
    try {
      const means = { ...recall, variant: this.variant, writer: this.writer, all: this.#runs, startPass, progress };
      this.runsRepaired = await verifyRuns(chosen, means);
    } catch (error) {
      // A card that claims more room than it has may have put something of the image where the table belongs.
      this.table = 'unsure';
      throw error;
    }
    this.#meter.done();
  }

  async #writeTable(): Promise<void> {
    this.table = 'unsure';
    await this.#tableWriter.write(
      this.#options.verify !== 'none',
      (bytes) => (this.bytesWritten += bytes),
      (bytes) => (this.bytesVerified += bytes),
      (run, place) => readsBackDifferently(this.writer.drive.path, run, place, stillWrong),
    );
    this.table = 'new';
  }

  #startMeter(phase: string, total: () => number): StepMeter {
    return new StepMeter(phase, this.writer.drive.path, total, this.#options.progress);
  }
}

function sizeOf(runs: readonly WrittenRun[]): number {
  return runs.reduce((sum, run) => sum + run.size, 0);
}

const stillWrong = {
  evidence: 'also when it was written again',
  hint: 'The card is probably worn out or counterfeit; try another card, then another reader',
};
