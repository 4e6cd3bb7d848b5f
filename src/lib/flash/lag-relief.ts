import { Failure } from '../failure/failure.js';
import type { ProgressListener } from '../platform/progress.js';
import type { DriveLane } from './drive-lane.js';
import type { SlotPool } from './slot-pool.js';

/**
 * Keeps slow drives from holding up fast ones. The rule: when all memory is in use and one drive has nothing to do, the windows that
 * other drives have not come to yet are left to the copy of the image, from which these drives read them when they do.
 */
export class LagRelief {
  readonly #pool: SlotPool;
  readonly #progress: ProgressListener;
  #lanes: readonly DriveLane[] = [];
  #isRelieving = false;
  #isPossible = true;

  constructor(pool: SlotPool, progress: ProgressListener) {
    this.#pool = pool;
    this.#progress = progress;
    pool.whenExhausted(this.consider);
  }

  watch(lanes: readonly DriveLane[]): void {
    this.#lanes = lanes;
  }

  /** Looks whether the rule applies now; to be called whenever a drive has nothing to do. */
  readonly consider = (): void => {
    if (this.#isRelieving || !this.#isPossible || !this.#pool.isExhausted) return;
    if (this.#lanes.some((lane) => lane.isIdle)) void this.#relieve();
  };

  async #relieve(): Promise<void> {
    this.#isRelieving = true;
    try {
      for (const lane of this.#lanes) await lane.leaveToCopy();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#isPossible = false;
      const text = `${error.message}; the slowest drive sets the pace from now on`;
      this.#progress({ type: 'notice', level: 'warning', text });
    } finally {
      this.#isRelieving = false;
    }
  }
}
