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
  #lanes: readonly Pick<DriveLane, 'isIdle' | 'leaveToCopy'>[] = [];
  #fail: (error: unknown) => void = () => undefined;
  #isRelieving = false;
  #isPossible = true;

  constructor(pool: SlotPool, progress: ProgressListener) {
    this.#pool = pool;
    this.#progress = progress;
    pool.whenExhausted(this.consider);
  }

  /** @param fail called with what goes wrong, unless it only means that no copy can be kept */
  watch(lanes: readonly Pick<DriveLane, 'isIdle' | 'leaveToCopy'>[], fail: (error: unknown) => void): void {
    this.#lanes = lanes;
    this.#fail = fail;
  }

  /** Looks whether the rule applies now; to be called whenever a drive has nothing to do. */
  readonly consider = (): void => {
    if (!this.#isRelieving && this.#isPossible && this.#applies) this.#relieve().catch(this.#fail);
  };

  get #applies(): boolean {
    return this.#pool.isExhausted && this.#lanes.some((lane) => lane.isIdle);
  }

  async #relieve(): Promise<void> {
    this.#isRelieving = true;
    try {
      // What is read meanwhile may fill the memory again.
      while (this.#applies && (await this.#leaveToCopy()));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#isPossible = false;
      const text = `${error.message}; the slowest drive sets the pace from now on`;
      this.#progress({ type: 'notice', level: 'warning', text });
    } finally {
      this.#isRelieving = false;
    }
  }

  /** Whether anything was left to the copy. */
  async #leaveToCopy(): Promise<boolean> {
    let hasLeft = false;
    for (const lane of this.#lanes) if (await lane.leaveToCopy()) hasLeft = true;
    return hasLeft;
  }
}
