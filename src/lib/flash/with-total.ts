import type { ProgressListener, StepProgress } from '../platform/progress.js';

/** What all drives together are called in progress. */
export const allDrives = 'all drives';

/** At most this often is told how far they are. */
const reportMs = 100;

/** Adds to what several drives report how far all of them have come together; a drive that has failed no longer counts. */
export function withTotal(progress: ProgressListener, drives: number): ProgressListener {
  if (drives < 2) return progress;
  const failed = new Set<string>();
  // The phases that take long enough for somebody to wait for them.
  const totals = ['write', 'verify'].map((phase) => new PhaseTotal(phase, progress));
  return (event) => {
    progress(event);
    if (event.type !== 'step') return;
    if (event.state === 'failed') failed.add(event.id);
    for (const total of totals) total.take(event, drives - failed.size);
  };
}

/** How far all drives have come in one phase. */
class PhaseTotal {
  readonly #phase: string;
  readonly #progress: ProgressListener;
  /** What each drive reported last. */
  readonly #steps = new Map<string, StepProgress>();
  #reported: StepProgress['state'] | undefined;
  #reportedAt = Number.NEGATIVE_INFINITY;

  constructor(phase: string, progress: ProgressListener) {
    this.#phase = phase;
    this.#progress = progress;
  }

  /** @param drives those that have not failed */
  take(event: StepProgress, drives: number): void {
    if (event.state === 'failed') this.#steps.delete(event.id);
    else if (event.phase === this.#phase) this.#steps.set(event.id, event);
    else return;
    const steps = [...this.#steps.values()];
    const isDone = drives > 0 && steps.length === drives && steps.every((step) => step.state === 'done');
    if (isDone) this.#report('done', steps, drives);
    else if (steps.length > 0) this.#report('active', steps, drives);
    else if (this.#reported === 'active') this.#report('failed', steps, drives);
  }

  #report(state: StepProgress['state'], steps: readonly StepProgress[], drives: number): void {
    const now = performance.now();
    if (state === 'active' && this.#reported === 'active' && now - this.#reportedAt < reportMs) return;
    this.#reported = state;
    this.#reportedAt = now;
    const sum = (key: 'current' | 'total') => steps.reduce((all, step) => all + (step[key] ?? 0), 0);
    // Drives that have not begun the phase have as much to do as the others.
    const total = Math.round((sum('total') * drives) / Math.max(1, steps.length));
    this.#progress({ type: 'step', id: allDrives, phase: this.#phase, state, current: sum('current'), total });
  }
}
