import type { ProgressListener } from '../platform/progress.js';

/** Reports how far one step has come, at most ten times a second. */
export class StepMeter {
  readonly #id: string;
  readonly #phase: string;
  readonly #progress: ProgressListener;
  /** Bytes in all, as well as that can be told at the moment. */
  readonly #total: () => number;
  #current = 0;
  #reportedAt = Number.NEGATIVE_INFINITY;

  constructor(phase: string, id: string, total: () => number, progress: ProgressListener) {
    this.#phase = phase;
    this.#id = id;
    this.#total = total;
    this.#progress = progress;
    this.add(0);
  }

  /** Counts bytes that are done. */
  add(bytes: number): void {
    this.#current += bytes;
    const now = performance.now();
    if (now - this.#reportedAt < 100) return;
    this.#reportedAt = now;
    this.#report('active', Math.max(this.#current, this.#total()));
  }

  done(): void {
    this.#report('done', this.#current);
  }

  failed(): void {
    this.#report('failed', this.#total());
  }

  #report(state: 'active' | 'done' | 'failed', total: number): void {
    this.#progress({ type: 'step', id: this.#id, phase: this.#phase, state, current: this.#current, total });
  }
}
