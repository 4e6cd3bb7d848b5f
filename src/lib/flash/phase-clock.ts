import type { ProgressListener } from '../platform/progress.js';
import { type FlashPhase, flashPhases } from './flash-result.js';

/** Takes the time of each phase of one drive. */
export class PhaseClock {
  readonly #drive: string;
  readonly #progress: ProgressListener;
  readonly #startedAt = performance.now();
  readonly #seconds = new Map<FlashPhase, number>();
  #endedAt: number | undefined;

  constructor(drive: string, progress: ProgressListener) {
    this.#drive = drive;
    this.#progress = progress;
  }

  /** Seconds that each phase took; null for one that was not come to. */
  get seconds(): Record<FlashPhase, number | null> {
    const [wipe, write, verify, table] = flashPhases.map((phase) => this.#seconds.get(phase) ?? null);
    return { wipe: wipe ?? null, write: write ?? null, verify: verify ?? null, table: table ?? null };
  }

  /** Seconds from the beginning to `end`, or until now. */
  get total(): number {
    return ((this.#endedAt ?? performance.now()) - this.#startedAt) / 1000;
  }

  /** Says that nothing more is done to the drive. */
  end(): void {
    this.#endedAt ??= performance.now();
  }

  /** Does the work of a phase, whatever comes of it; a short one, which reports nothing itself, is reported here. */
  async time(phase: FlashPhase, work: () => Promise<void>, isShort = false): Promise<void> {
    const startedAt = performance.now();
    const report = (state: 'active' | 'done' | 'failed') => {
      if (isShort) this.#progress({ type: 'step', id: this.#drive, phase, state });
    };
    report('active');
    try {
      await work();
      report('done');
    } catch (error) {
      report('failed');
      throw error;
    } finally {
      this.#seconds.set(phase, (performance.now() - startedAt) / 1000);
    }
  }
}
