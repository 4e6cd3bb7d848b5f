import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type ContainerSummary,
  createContainer,
  ensureVolume,
  inspectContainer,
  listContainers,
  removeContainer,
  renameContainer,
  startContainer,
  stopContainer,
} from '../engine/containers.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { removeImage } from '../engine/images.js';
import { serviceOfContainer } from '../engine/find-service.js';
import { Failure, interrupted } from '../failure/failure.js';
import { ignoreProgress, type ProgressListener } from '../platform/progress.js';

import type { ContainerPlan } from './service-container.js';

/** The container that runs after a deployment. */
export interface RunningContainer {
  readonly id: string;
  readonly name: string;
  /** `running`, or `restarting` or `exited` when it ended at once. */
  readonly state: string;
  readonly exitCode: number | undefined;
}

/** How a container is replaced. */
export interface ReplaceOptions {
  readonly signal?: AbortSignal | undefined;
  readonly progress?: ProgressListener;
}

/**
 * Puts a service's new container in the place of the one before it, on an engine that no Supervisor looks after. The new
 * one is complete before the old one stops, and when it cannot be started the old one is started again. From the moment the
 * old one is told to stop, an abort waits until one of the two runs.
 */
export async function replaceContainer(
  engine: EngineConnection,
  plan: ContainerPlan,
  { signal, progress = ignoreProgress }: ReplaceOptions = {},
): Promise<RunningContainer> {
  const step = { type: 'step', id: plan.service, phase: 'start' } as const;
  progress({ ...step, state: 'active' });
  const previous = (await listContainers(engine, signal)).filter(
    (one) => serviceOfContainer(one.name) === plan.service,
  );
  await ensureVolume(engine, plan.volume.name, plan.volume.labels, signal);
  // A name of its own until the old container has given up the real one; also recognised as one of this service.
  const provisionalName = `${plan.name}_${randomBytes(4).toString('hex')}`;
  const id = await createContainer(engine, provisionalName, plan.spec);
  if (signal?.aborted) {
    await removeContainer(engine, id);
    throw interrupted();
  }
  const running = previous.filter((one) => one.state === 'running' || one.state === 'restarting');
  const holder = previous.find((one) => one.name === plan.name);
  try {
    if (running.length > 0) progress({ ...step, state: 'active', detail: 'stopping the previous container' });
    for (const one of running) await stopContainer(engine, one.id);
    // Names change hands while both are still: an engine cannot rename a container that keeps ending and restarting.
    if (holder !== undefined) await renameContainer(engine, holder.id, `${provisionalName}_previous`);
    await renameContainer(engine, id, plan.name);
    await startContainer(engine, id);
  } catch (error) {
    progress({ ...step, state: 'failed' });
    throw await restored(engine, plan, { newContainer: id, holder, running }, error);
  }
  for (const one of previous) await removeContainer(engine, one.id);
  const settled = await settledContainer(engine, plan.service, id);
  progress({ ...step, state: 'done' });
  await removeOldImages(engine, previous, plan);
  if (settled.state !== 'running') {
    const text = `${plan.service} ended at once with exit code ${settled.exitCode ?? 'unknown'}; the engine keeps starting it again`;
    progress({ type: 'notice', level: 'warning', text });
  }
  return { id, name: plan.name, state: settled.state, exitCode: settled.exitCode };
}

/** What has to be put back when a replacement does not work out. */
interface Before {
  readonly newContainer: string;
  /** The container that had the name before, and may have had to give it up. */
  readonly holder: ContainerSummary | undefined;
  readonly running: readonly ContainerSummary[];
}

/** Takes the new container away, starts those that ran before, and returns the failure that says how that went. */
async function restored(
  engine: EngineConnection,
  { service, name }: ContainerPlan,
  { newContainer, holder, running }: Before,
  cause: unknown,
): Promise<unknown> {
  let outcome = running.length > 0 ? '; the previous container is running again' : '';
  try {
    await removeContainer(engine, newContainer);
    const named = (await listContainers(engine)).find((one) => one.name === name);
    // What ran before is then the other push's to replace or to restore.
    if (named !== undefined && named.id !== holder?.id) return overtaken(service, cause);
    if (holder !== undefined && named === undefined) await renameContainer(engine, holder.id, name);
    for (const one of running) await startContainer(engine, one.id);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    outcome = `; starting the previous container again failed too: ${error.message}`;
  }
  if (!(cause instanceof Failure)) return cause;
  const message = `starting ${service}: ${cause.message}${outcome}`;
  return cause.kind === 'unreachable'
    ? new Failure('unreachable', 'link-lost', message, { hint: 'Push again once the device answers', cause })
    : new Failure('failed', 'container-not-started', message, {
        hint: 'Check that the program named by CMD or ENTRYPOINT is in the image and can be executed on this device',
        cause,
      });
}

/** Of two pushes to one device at once, one is the last; the other ends with this. */
function overtaken(service: string, cause: unknown): Failure {
  const message = `another push to the device has put its own container of ${service} in place`;
  return new Failure('refused', 'push-overtaken', message, { hint: 'Push again if yours is the one to run', cause });
}

const settleMs = 1000;

/** Gives the new container a moment to fall over, so that one which cannot live is not reported as running. */
async function settledContainer(engine: EngineConnection, service: string, id: string) {
  const deadline = Date.now() + settleMs;
  for (;;) {
    const details = await inspectContainer(engine, id).catch((error: unknown) => {
      throw error instanceof Failure && error.kind === 'not-found' ? overtaken(service, error) : error;
    });
    if (details.state !== 'running' || details.restarts > 0 || Date.now() >= deadline) {
      return details.restarts > 0 ? { ...details, state: 'restarting' } : details;
    }
    await sleep(200);
  }
}

/** Without this, every push leaves an image behind until the device's disk is full. */
async function removeOldImages(
  engine: EngineConnection,
  previous: readonly ContainerSummary[],
  plan: ContainerPlan,
): Promise<void> {
  for (const { imageId } of previous) if (imageId !== plan.spec.Image) await removeImage(engine, imageId);
}
