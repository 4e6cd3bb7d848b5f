import type { LogLine } from '../engine/container-logs.js';
import { Failure } from '../failure/failure.js';
import { waitAtMost } from '../platform/wait.js';
import type { Device } from '../device/device.js';
import type { EngineLink } from '../device/engine-link.js';
import type { LogRequest } from './log-source.js';

const pollMs = 500;
const longestPauseMs = 10_000;

/** How a log is read on. */
export interface LogReading {
  /** Reads what there is; calls `reached` with where it is read as soon as that answers. */
  readonly read: (device: Device, reached: (where: string) => void) => AsyncGenerator<LogLine>;
  /** Whether waiting may mend what went wrong. */
  readonly isPassing: (error: Failure) => boolean;
}

/** Reads a log on until the signal is aborted, again after each end and each loss, of which it tells once. */
export async function* throughLosses(
  link: EngineLink,
  { signal, progress }: LogRequest,
  { read, isPassing }: LogReading,
): AsyncGenerator<LogLine> {
  let losses = 0;
  const notice = (level: 'info' | 'warning', text: string) => {
    progress({ type: 'notice', level, text });
  };
  const reached = (where: string) => {
    if (losses > 0) notice('info', `connected to ${where} again`);
    losses = 0;
  };
  for (;;) {
    signal.throwIfAborted();
    let device: Device | undefined;
    try {
      device = await link.device();
      yield* read(device, reached);
      await waitAtMost(pollMs, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Failure) || !isPassing(error)) throw error;
      if (losses === 0) notice('warning', `${error.message}; trying again until Ctrl-C`);
      losses += 1;
      // A service that is gone says nothing about the link, which other logs share.
      if (error.kind === 'unreachable' && device !== undefined) await link.drop(device);
      await waitAtMost(Math.min(pollMs * 2 ** losses, longestPauseMs), signal);
    }
  }
}
