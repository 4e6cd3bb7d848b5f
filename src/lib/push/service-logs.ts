import { containerLogs, type LogLine } from '../engine/container-logs.js';
import type { ContainerDetails } from '../engine/containers.js';
import { findService } from '../engine/find-service.js';
import { Failure } from '../failure/failure.js';
import { ignoreProgress, type ProgressListener } from '../platform/progress.js';
import { waitAtMost } from '../platform/wait.js';
import type { EngineLink } from './engine-link.js';
import { LogCursor } from './log-cursor.js';

/** Which lines of a service's log are wanted. */
export interface ServiceLogRequest {
  readonly service: string;
  /** Whether to wait for more, through restarts, new pushes and lost connections, until the signal is aborted. */
  readonly follow: boolean;
  /** Only the last so many of the lines that are there already. */
  readonly tail?: number | undefined;
  /** Only lines from then on, by the device's clock, in the form of `engineTime`. */
  readonly since?: string | undefined;
  /** How long a device may take to answer the first time. */
  readonly timeoutMs?: number;
  readonly signal: AbortSignal;
  readonly progress?: ProgressListener;
}

const pollMs = 500;
const longestPauseMs = 10_000;

/**
 * The log of a service's container. When following, a device that was reached once is tried again for ever after a loss,
 * unless it no longer lets us in, and the log goes on where it stopped.
 */
export async function* serviceLogs(link: EngineLink, request: ServiceLogRequest): AsyncGenerator<LogLine> {
  const { service, follow, tail, since, timeoutMs = 0, signal, progress = ignoreProgress } = request;
  const notice = (level: 'info' | 'warning', text: string) => {
    progress({ type: 'notice', level, text });
  };
  const cursor = new LogCursor();
  let attached: ContainerDetails | undefined;
  let losses = 0;
  for (;;) {
    signal.throwIfAborted();
    try {
      const engine = attached === undefined ? await link.answeringEngine(timeoutMs, signal) : await link.engine();
      const container = await findService(engine, service, signal);
      if (losses > 0) notice('info', `connected to ${engine.description} again`);
      losses = 0;
      const isSame = attached?.id === container.id;
      if (isSame && container.state !== 'running' && container.startedAt === attached?.startedAt) {
        await waitAtMost(pollMs, signal);
        continue;
      }
      if (isSame) cursor.resume();
      else cursor.reset();
      const selection =
        attached === undefined ? { tail, since } : { since: cursor.since ?? (isSame ? since : undefined) };
      attached = container;
      for await (const line of containerLogs(engine, container, { follow, signal, ...selection })) {
        if (cursor.take(line)) yield line;
      }
      if (!follow) return;
      await waitAtMost(pollMs, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!follow || attached === undefined || !isPassing(error)) throw error;
      if (losses === 0) notice('warning', `${error.message}; trying again until Ctrl-C`);
      losses += 1;
      await link.drop();
      await waitAtMost(Math.min(pollMs * 2 ** losses, longestPauseMs), signal);
    }
  }
}

/** Whether waiting may mend what went wrong; a device that does not let us in or is another one now stays so. */
function isPassing(error: unknown): error is Failure {
  return error instanceof Failure && error.kind !== 'permission' && error.code !== 'host-key-changed';
}
