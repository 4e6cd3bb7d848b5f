import { setTimeout as sleep } from 'node:timers/promises';
import { type ContainerDetails, inspectContainer } from '../engine/containers.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import type { ProgressListener } from '../platform/progress.js';
import { showLastLines } from './wait-for-service.js';

const settleMs = 1000;

/**
 * Gives a new container a moment to fall over, so that one which cannot live is not reported as running, and warns of it with the last
 * that it said.
 */
export async function settledContainer(
  engine: EngineConnection,
  { service, id, isTask }: { readonly service: string; readonly id: string; readonly isTask: boolean },
  progress: ProgressListener,
): Promise<ContainerDetails> {
  const deadline = performance.now() + settleMs;
  let container = await inspectContainer(engine, id);
  while (isUp(container) && performance.now() < deadline) {
    await sleep(200);
    container = await inspectContainer(engine, id);
  }
  if (isUp(container) || (isTask && container.exitCode === 0)) return container;
  const state = container.restarts > 0 ? 'restarting' : container.state;
  await showLastLines(engine, service, container, progress);
  const next = state === 'exited' ? '' : '; the engine keeps starting it again';
  const text = `${service} ended at once with exit code ${container.exitCode ?? 'unknown'}${next}`;
  progress({ type: 'notice', level: 'warning', text });
  return { ...container, state };
}

function isUp({ state, restarts }: ContainerDetails): boolean {
  return state === 'running' && restarts === 0;
}
