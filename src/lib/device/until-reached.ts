import { Failure } from '../failure/failure.js';
import { waitAtMost } from '../platform/wait.js';

const firstPauseMs = 500;
const longestPauseMs = 10_000;

/** How long something is tried again. */
export interface Patience {
  readonly signal: AbortSignal;
  /** Milliseconds; for ever without it. */
  readonly patienceMs?: number;
}

/**
 * Does something that needs a device until it works, with growing pauses in between. Gives up with the last reason when there is no more
 * patience, and at once when waiting cannot mend it: a device that lets nobody in, or is another one now.
 */
export async function untilReached<T>(work: () => Promise<T>, { signal, patienceMs = Infinity }: Patience): Promise<T> {
  const end = performance.now() + patienceMs;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      const left = end - performance.now();
      if (!isPassing(error) || left <= 0) throw error;
      await waitAtMost(Math.min(pauseMs, left), signal);
    }
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof Failure && (error.kind === 'unreachable' || error.kind === 'not-found');
}
