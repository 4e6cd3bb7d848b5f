import { Failure } from '../failure/failure.js';
import type { ProgressListener } from '../platform/progress.js';
import type { BytesListener } from './drive-channel.js';
import type { WrittenRun } from './drive-thread.js';
import type { DriveWriter } from './drive-writer.js';
import { type FlashJournal, removeOldJournals } from './flash-journal.js';
import { asDrivePiece, type ImagePiece } from './image-variant.js';
import type { DriveExtras } from './plan-extras.js';

/** What runs are written to. */
type RunTarget = Pick<DriveWriter, 'write' | 'rewrite' | 'flush'>;

/** How runs are written. */
export interface RunWriterOptions {
  readonly extras: Pick<DriveExtras, 'compare' | 'resumedFrom'>;
  readonly journal: FlashJournal;
  readonly onBytes: BytesListener;
  /** Milliseconds since any fixed moment. */
  readonly now?: () => number;
  readonly progress: ProgressListener;
}

/** Runs that are read again of what was found, at most; a run has a window's size at most. */
const samplesInFront = 8;
const samplesAllOver = 24;

/**
 * How often, in milliseconds, everything written is flushed and noted, so that a flash that is cut off can go on from there: seldom enough
 * that a card which takes a tenth of a second for it loses one percent.
 */
const flushEvery = 10_000;

/** As many windows in a row are compared in vain before an interrupted flash is taken to have ended before them. */
const missesToGiveUp = 4;

/**
 * Writes the runs of an image to a drive, leaves alone what is there already where that is to be expected, and keeps the journal of how far
 * it has come.
 */
export class RunWriter {
  /** What the drive held already, as it was read from it. */
  readonly found = new Set<WrittenRun>();
  readonly #writer: RunTarget;
  readonly #options: RunWriterOptions;
  /** Up to where the drive is expected to hold the image. */
  readonly #expected: number;
  /** Windows in a row that were compared in vain. While they are few, what follows may be there as well, whatever the journal says. */
  #misses: number;
  readonly #now: () => number;
  #flushedAt: number;
  #isJournalKept = true;

  constructor(writer: RunTarget, options: RunWriterOptions) {
    const { compare, resumedFrom } = options.extras;
    this.#writer = writer;
    this.#options = options;
    this.#expected = compare === 'everything' ? Number.POSITIVE_INFINITY : (resumedFrom ?? 0);
    this.#misses = compare === 'resumed' ? 0 : missesToGiveUp;
    this.#now = options.now ?? (() => performance.now());
    this.#flushedAt = this.#now();
  }

  /** Notes that a flash has begun, before anything is written. */
  async begin(): Promise<void> {
    await this.#keepJournal(() => removeOldJournals());
    await this.#record(0);
  }

  /** Writes pieces of a window, in the order of the image. */
  async write(pieces: readonly ImagePiece[]): Promise<void> {
    const [first, last] = [pieces[0]?.run, pieces.at(-1)?.run];
    if (first === undefined || last === undefined) return;
    const isExpected = this.#misses < missesToGiveUp || first.start < this.#expected;
    const written = isExpected ? this.#rewrite(pieces) : this.#write(pieces);
    await Promise.all([written, this.#flushNowAndThen(last.start + last.size)]);
  }

  /** Forgets the flash, because it is done. */
  async done(): Promise<void> {
    await this.#keepJournal((journal) => journal.remove());
  }

  /**
   * What of the runs is to be read again to verify them: what was written, and of what was found as much in front and all over, up to a
   * limit, because a drive that holds less than it claims puts what is written beyond its end over what is before.
   */
  toVerify(runs: readonly WrittenRun[]): WrittenRun[] {
    const found = [...this.found];
    const written = runs.length - found.length;
    if (written === 0) return [];
    const step = Math.ceil(found.length / Math.min(written, samplesAllOver));
    const sample = new Set(found.filter((_, index) => index < Math.min(written, samplesInFront) || index % step === 0));
    return runs.filter((run) => !this.found.has(run) || sample.has(run));
  }

  async #write(pieces: readonly ImagePiece[]): Promise<void> {
    await this.#writer.write(pieces.map(asDrivePiece), this.#options.onBytes);
  }

  async #rewrite(pieces: readonly ImagePiece[]): Promise<void> {
    const wrong = await this.#writer.rewrite(pieces.map(asDrivePiece), this.#options.onBytes);
    for (const { run } of pieces) if (!wrong.some(({ start }) => start === run.start)) this.found.add(run);
    this.#misses = wrong.length === 0 ? 0 : this.#misses + 1;
  }

  async #flushNowAndThen(end: number): Promise<void> {
    const now = this.#now();
    if (now - this.#flushedAt < flushEvery) return;
    this.#flushedAt = now;
    await this.#writer.flush();
    await this.#record(end);
  }

  async #record(end: number): Promise<void> {
    // What an earlier flash came to is still there while this one compares it.
    const reached = Math.max(end, this.#options.extras.resumedFrom ?? 0);
    await this.#keepJournal((journal) => journal.record(reached));
  }

  /** A journal that cannot be kept costs nothing but the chance to go on from it. */
  async #keepJournal(work: (journal: FlashJournal) => Promise<void>): Promise<void> {
    if (!this.#isJournalKept) return;
    try {
      await work(this.#options.journal);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#isJournalKept = false;
      const text = `If this flash is interrupted, the next one starts from the beginning: ${error.message}`;
      this.#options.progress({ type: 'notice', level: 'warning', text });
    }
  }
}
