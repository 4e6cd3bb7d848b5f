import { Failure } from '../failure/failure.js';
import { waitAtMost } from '../platform/wait.js';
import type { EngineConnection } from './engine-connection.js';
import { pingEngine } from './engine-info.js';

const retryMs = 500;

/** Waits for an engine that has answered before to answer again; fails with the last reason when it does not within so long. */
export async function awaitEngine(engine: EngineConnection, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      await pingEngine(engine, signal);
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (!isLinkBroken(error) || performance.now() >= deadline) throw error;
    }
    await waitAtMost(retryMs, signal);
  }
}

/** Whether a failure is one of the way to an engine, which may be open again later. */
export function isLinkBroken(error: unknown): boolean {
  return error instanceof Failure && error.kind === 'unreachable';
}
