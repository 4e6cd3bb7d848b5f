import type { StepProgress } from '../platform/progress.js';
import { RateMeter } from './rate-meter.js';

/** What tells one step from another: what is done and to what. */
export function keyOf(step: StepProgress): string {
  return `${step.phase} ${step.id}`;
}

/** One rate meter per step, fed by the step's own numbers. */
export class RateMeters {
  readonly #meters = new Map<string, RateMeter>();

  /** The meter of a step, after it has taken the step's present number at a moment in milliseconds. */
  update(step: StepProgress, at: number): RateMeter {
    const key = keyOf(step);
    const meter = this.#meters.get(key) ?? new RateMeter();
    this.#meters.set(key, meter);
    if (step.current !== undefined) meter.add(at, step.current);
    return meter;
  }

  /** The meter of a step as it stands. */
  of(step: StepProgress): RateMeter {
    return this.#meters.get(keyOf(step)) ?? new RateMeter();
  }
}
