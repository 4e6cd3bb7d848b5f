import { setMaxListeners } from 'node:events';

/** A piece of work's own abort signal. */
export interface Limit {
  /** Aborted with the outer signal, when the time is up, or by `end`. */
  readonly signal: AbortSignal;
  /** Ends the work, and listens to the outer signal no longer. */
  readonly end: () => void;
}

/**
 * A signal that follows another one, and ends by itself after some milliseconds if any are given. `AbortSignal.any` with `AbortSignal.timeout`
 * would say the same, but Node 20 may garbage-collect such a signal, which then never aborts.
 */
export function limit(outer: AbortSignal, milliseconds?: number): Limit {
  const controller = new AbortController();
  // Any number of devices may wait on one limit.
  setMaxListeners(0, controller.signal);
  const end = () => {
    clearTimeout(timer);
    outer.removeEventListener('abort', end);
    controller.abort(outer.reason);
  };
  const timer = milliseconds === undefined ? undefined : setTimeout(end, milliseconds);
  if (outer.aborted) end();
  else outer.addEventListener('abort', end, { once: true });
  return { signal: controller.signal, end };
}
