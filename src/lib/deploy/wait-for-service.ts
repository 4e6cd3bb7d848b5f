import { containerLogs } from '../engine/container-logs.js';
import { type ContainerDetails, inspectContainer } from '../engine/containers.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { Failure, interrupted } from '../failure/failure.js';
import type { ProgressListener } from '../platform/progress.js';
import { waitAtMost } from '../platform/wait.js';
import type { Wait } from './service-order.js';

/** The container that is waited for. */
export interface AwaitedContainer {
  readonly service: string;
  readonly id: string;
}

const pollMs = 250;

/** Returns once a service is as another one needs it; fails when it will not be. */
export async function waitForService(
  engine: EngineConnection,
  { service, id }: AwaitedContainer,
  condition: Wait['condition'],
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: ProgressListener },
): Promise<void> {
  if (condition === 'service_started') return;
  const step = { type: 'step', id: service, phase: 'wait for' } as const;
  for (;;) {
    if (signal.aborted) throw interrupted();
    const container = await inspectContainer(engine, id, signal);
    const trouble = troubleWith(service, container, condition);
    if (trouble !== undefined) {
      progress({ ...step, state: 'failed' });
      await showLastLines(engine, service, container, progress);
      throw trouble;
    }
    if (isFulfilled(container, condition)) {
      progress({ ...step, state: 'done' });
      return;
    }
    progress({ ...step, state: 'active', detail: condition === 'service_healthy' ? 'to be healthy' : 'to end' });
    await waitAtMost(pollMs, signal);
  }
}

function isFulfilled({ health, state }: ContainerDetails, condition: Wait['condition']): boolean {
  return condition === 'service_healthy' ? health === 'healthy' : state === 'exited';
}

function troubleWith(
  service: string,
  { state, exitCode, health, healthOutput }: ContainerDetails,
  condition: Wait['condition'],
): Failure | undefined {
  if (condition === 'service_completed_successfully') {
    if (state !== 'exited' || exitCode === 0) return undefined;
    return new Failure('failed', 'task-failed', `${service} ended with exit code ${exitCode ?? 'unknown'}`);
  }
  if (state === 'exited') {
    const message = `${service} ended with exit code ${exitCode ?? 'unknown'} before it was healthy`;
    return new Failure('failed', 'service-unhealthy', message);
  }
  if (health === undefined) {
    const message = `${service} has no health check, and another service waits for it to be healthy`;
    return new Failure('refused', 'health-check-missing', message, {
      hint: `Give ${service} a healthcheck, or let others wait for service_started`,
    });
  }
  if (health !== 'unhealthy') return undefined;
  const said = healthOutput === undefined ? '' : `: ${healthOutput}`;
  return new Failure('failed', 'service-unhealthy', `${service} is unhealthy${said}`);
}

/** Shows the last that a container has said, before it is taken away. */
export async function showLastLines(
  engine: EngineConnection,
  service: string,
  container: Pick<ContainerDetails, 'id' | 'hasTerminal'>,
  progress: ProgressListener,
): Promise<void> {
  try {
    for await (const { text } of containerLogs(engine, container, { follow: false, tail: 10 }))
      progress({ type: 'line', id: service, text });
  } catch (error) {
    // Whoever asks has something worse to tell.
    if (!(error instanceof Failure)) throw error;
  }
}
