import type { LogLine } from '../engine/container-logs.js';
import type { ProgressListener } from '../platform/progress.js';

/** Something of a device that has a log. */
export interface LogSource {
  /** The service; `system` for the device itself. */
  readonly name: string;
  /** The lines that there are, the oldest first. */
  there(): AsyncGenerator<LogLine>;
  /**
   * The lines that come after those, through restarts, new pushes and lost connections, until the signal is aborted: a device that was reached once
   * is tried again for ever after a loss, unless it no longer lets us in, and the log goes on where it stopped.
   */
  coming(): AsyncGenerator<LogLine>;
}

/** Which lines are wanted. */
export interface LogRequest {
  /** Whether what comes is wanted after what is there, which then need not be read to its end. */
  readonly follow: boolean;
  /** Only the last so many of the lines that are there already. */
  readonly tail?: number | undefined;
  /** Only lines from then on, by the device's clock, in the form of `engineTime`. */
  readonly since?: string | undefined;
  /** How long a device may take to answer the first time. */
  readonly timeoutMs?: number;
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}
