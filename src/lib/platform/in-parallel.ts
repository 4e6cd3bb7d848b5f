import { setMaxListeners } from 'node:events';
import { interrupted } from '../failure/failure.js';

/** How many pieces of work go on at once, and what ends them all. */
export interface ParallelOptions {
  readonly atOnce: number;
  readonly signal: AbortSignal;
}

/**
 * Works on many things, a few at a time, and returns the results in the order of the things. The first failure aborts the signal of all
 * the others; it is thrown once every one of them has ended, so that nothing goes on behind the caller's back.
 */
export async function inParallel<T, R>(
  things: readonly T[],
  { atOnce, signal }: ParallelOptions,
  work: (thing: T, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  const halt = new AbortController();
  setMaxListeners(0, halt.signal);
  const onAbort = () => {
    halt.abort(interrupted());
  };
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  const results: R[] = [];
  const failures: unknown[] = [];
  const waiting = [...things.entries()];
  const next = async (): Promise<void> => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
      if (halt.signal.aborted) return;
      const [index, thing] = one;
      try {
        results[index] = await work(thing, halt.signal);
      } catch (error) {
        failures.push(error);
        halt.abort(interrupted());
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(atOnce, things.length) }, next));
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  if (signal.aborted) throw interrupted();
  if (failures.length > 0) throw failures[0];
  return results;
}
