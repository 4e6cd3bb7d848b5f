import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import {
  type ContainerSummary,
  removeContainer,
  renameContainer,
  startContainer,
  stopContainer,
} from '../engine/containers.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { removeImage } from '../engine/images.js';
import { removeNetwork } from '../engine/networks.js';
import { createVolume, removeVolume } from '../engine/volumes.js';
import { Failure, interrupted } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import type { ProgressListener } from '../platform/progress.js';
import { createServiceContainer } from './create-container.js';
import type { DeployedService, DeployOptions } from './deployer.js';
import type { DeploymentPlan, ServicePlan } from './plan-deployment.js';
import { prepareNetworks } from './prepare-networks.js';
import { Rollback } from './rollback.js';
import { settledContainer } from './settled-container.js';
import { waitForService } from './wait-for-service.js';

/**
 * Carries a plan out, on an engine that no Supervisor looks after. Every new container is complete before an old one stops, and old ones
 * are removed when all new ones run; should something go wrong before, or be interrupted, everything that ran runs again. From the moment
 * the first old one is told to stop, an abort waits until that is so.
 */
export async function deployOnEngine(
  engine: EngineConnection,
  plan: DeploymentPlan,
  { signal, progress }: DeployOptions,
): Promise<readonly DeployedService[]> {
  return new EngineDeployment(engine, plan, signal, progress).run();
}

class EngineDeployment {
  readonly #engine: EngineConnection;
  readonly #plan: DeploymentPlan;
  readonly #signal: AbortSignal;
  readonly #progress: ProgressListener;
  readonly #rollback: Rollback;
  /** Aborted with the signal and by the first failure. */
  readonly #halt = new AbortController();
  /** The container of each service that is to stay, by service. */
  readonly #containers = new Map<string, string>();
  /** Names for containers until old ones have given up the real ones; also recognised as those of their services. */
  readonly #suffix = randomBytes(4).toString('hex');

  constructor(engine: EngineConnection, plan: DeploymentPlan, signal: AbortSignal, progress: ProgressListener) {
    this.#engine = engine;
    this.#plan = plan;
    this.#signal = signal;
    this.#progress = progress;
    this.#rollback = new Rollback(engine);
    setMaxListeners(0, this.#halt.signal);
    for (const { name, action, current } of plan.services)
      if (current !== undefined && action !== 'recreate') this.#containers.set(name, current.id);
  }

  async run(): Promise<readonly DeployedService[]> {
    const onAbort = () => {
      this.#halt.abort(interrupted());
    };
    this.#signal.addEventListener('abort', onAbort, { once: true });
    if (this.#signal.aborted) onAbort();
    try {
      await this.#makeObjects();
      await this.#createContainers();
      await this.#stopRemoved();
      await this.#startServices();
    } catch (error) {
      throw await this.#restored(error);
    } finally {
      this.#signal.removeEventListener('abort', onAbort);
    }
    await this.#removeOld();
    return this.#settled();
  }

  async #makeObjects(): Promise<void> {
    await prepareNetworks(this.#engine, this.#plan, this.#rollback, this.#halt.signal);
    for (const { action, wanted } of this.#plan.volumes) {
      if (action === 'keep') continue;
      this.#proceed();
      this.#rollback.add(async () => {
        await removeVolume(this.#engine, wanted.name);
      });
      await createVolume(this.#engine, wanted.spec);
    }
  }

  async #createContainers(): Promise<void> {
    for (const service of this.#plan.services) {
      if (service.action !== 'create' && service.action !== 'recreate') continue;
      this.#proceed();
      const { name, container, imageId } = service;
      if (imageId === undefined) throw new Error(`${name} has no image`);
      try {
        const id = await createServiceContainer(this.#engine, {
          plan: container,
          name: `${container.name}_${this.#suffix}`,
          imageId,
          containerOf: (other) => this.#containerOf(other),
          progress: this.#progress,
        });
        this.#containers.set(name, id);
        this.#rollback.add(() => removeContainer(this.#engine, id));
      } catch (error) {
        throw notStarted(`creating the container of ${name}`, error);
      }
    }
  }

  async #stopRemoved(): Promise<void> {
    for (const { name, container } of this.#plan.removals) {
      this.#proceed();
      await this.#stop(name, container);
    }
  }

  /** Starts services side by side, each when those that it waits for are as it needs them. */
  async #startServices(): Promise<void> {
    const started = new Map<string, Promise<void>>();
    let failure: { readonly error: unknown } | undefined;
    const start = async (service: ServicePlan): Promise<void> => {
      for (const wait of service.waits) await started.get(wait.service);
      await this.#startService(service);
    };
    for (const service of this.#plan.services) {
      const starting = start(service).catch((error: unknown) => {
        failure ??= { error };
        this.#halt.abort(interrupted());
      });
      started.set(service.name, starting);
    }
    await Promise.all(started.values());
    if (this.#signal.aborted) throw interrupted();
    if (failure !== undefined) throw failure.error;
  }

  async #startService(service: ServicePlan): Promise<void> {
    const { name, action, waits } = service;
    if (action === 'keep') return;
    const step = { type: 'step', id: name, phase: 'start' } as const;
    for (const wait of waits) await this.#fulfilled(wait, name);
    this.#proceed();
    this.#progress({ ...step, state: 'active' });
    try {
      if (action === 'start') await this.#startAgain(service);
      else await this.#replace(service);
    } catch (error) {
      this.#progress({ ...step, state: 'failed' });
      throw notStarted(`starting ${name}`, error);
    }
    this.#progress({ ...step, state: 'done' });
  }

  async #fulfilled({ service, condition, required }: ServicePlan['waits'][number], waiting: string): Promise<void> {
    this.#proceed();
    const awaited = { service, id: this.#containerOf(service) };
    const options = { signal: this.#halt.signal, progress: this.#progress };
    try {
      await waitForService(this.#engine, awaited, condition, options);
    } catch (error) {
      if (required || !(error instanceof Failure) || error.kind === 'interrupted')
        throw whileDoing(`starting ${waiting}`, error);
      this.#progress({ type: 'notice', level: 'warning', text: `${error.message}; ${waiting} starts without it` });
    }
  }

  async #startAgain({ name }: ServicePlan): Promise<void> {
    const id = this.#containerOf(name);
    this.#rollback.add(() => stopContainer(this.#engine, id));
    await startContainer(this.#engine, id);
  }

  async #replace({ name, container, current, leftovers }: ServicePlan): Promise<void> {
    const id = this.#containerOf(name);
    for (const one of current === undefined ? leftovers : [current, ...leftovers]) await this.#stop(name, one);
    // Names change hands while both are still: an engine cannot rename a container that keeps ending and restarting.
    if (current?.name === container.name) {
      this.#rollback.add(() => this.#giveBackName(name, current));
      await orOvertaken(name, renameContainer(this.#engine, current.id, `${container.name}_${this.#suffix}_previous`));
    }
    // Taken back before the old one takes its name back.
    this.#rollback.add(() => removeContainer(this.#engine, id));
    await orOvertaken(name, renameContainer(this.#engine, id, container.name));
    await startContainer(this.#engine, id);
  }

  async #giveBackName(service: string, { id, name }: ContainerSummary): Promise<void> {
    try {
      await renameContainer(this.#engine, id, name);
    } catch (error) {
      if (!(error instanceof Failure && (error.kind === 'refused' || error.kind === 'not-found'))) throw error;
      // What ran before is then the other push's to replace or to restore.
      this.#rollback.overtaken.add(service);
    }
  }

  async #stop(service: string, { id, state }: ContainerSummary): Promise<void> {
    if (state !== 'running' && state !== 'restarting') return;
    this.#rollback.stopped(service, id);
    try {
      await stopContainer(this.#engine, id);
    } catch (error) {
      if (!(error instanceof Failure && error.kind === 'not-found')) throw error;
    }
  }

  #containerOf(service: string): string {
    const id = this.#containers.get(service);
    if (id === undefined) throw new Error(`${service} has no container`);
    return id;
  }

  #proceed(): void {
    if (this.#halt.signal.aborted) throw interrupted();
  }

  /** Takes everything back and returns the failure that says how that went. */
  async #restored(cause: unknown): Promise<unknown> {
    const { hasStopped, overtaken } = this.#rollback;
    const trouble = await this.#rollback.run();
    if (!(cause instanceof Failure) || (cause.kind === 'interrupted' && trouble === undefined)) return cause;
    const [service] = overtaken;
    if (service !== undefined) return pushOvertaken(service, cause);
    const outcome =
      trouble !== undefined
        ? `; bringing back what ran before failed too: ${trouble.message}`
        : hasStopped
          ? '; what ran before runs again'
          : '';
    return cause.kind === 'unreachable'
      ? new Failure('unreachable', 'link-lost', `${cause.message}${outcome}`, { hint: pushAgain, cause })
      : cause.withOutcome(outcome);
  }

  /** From here on there is no way back, so that nothing of the old is left half removed. */
  async #removeOld(): Promise<void> {
    const { services, networks, removals } = this.#plan;
    const replaced = services.flatMap(({ action, current, leftovers }) =>
      action === 'recreate' && current !== undefined ? [current, ...leftovers] : leftovers,
    );
    const old = [...replaced, ...removals.map(({ container }) => container)];
    await Promise.all(old.map(({ id }) => removeContainer(this.#engine, id)));
    for (const { name } of removals) this.#progress({ type: 'step', id: name, phase: 'remove', state: 'done' });
    for (const { action, current } of networks)
      if (action === 'remove' && current !== undefined) await removeNetwork(this.#engine, current.id);
    // Without this, every push leaves an image behind until the device's disk is full.
    const inUse = new Set(services.map(({ imageId, current }) => imageId ?? current?.imageId));
    for (const image of new Set(old.map(({ imageId }) => imageId)))
      if (!inUse.has(image)) await removeImage(this.#engine, image);
  }

  async #settled(): Promise<readonly DeployedService[]> {
    return Promise.all(
      this.#plan.services.map(async (service): Promise<DeployedService> => {
        const { name, action, current, container } = service;
        const id = this.#containerOf(name);
        if (action === 'keep' && current !== undefined) {
          const { imageId, state } = current;
          return { service: name, action, imageId, containerId: id, containerName: current.name, state };
        }
        const settled = await orOvertaken(
          name,
          settledContainer(this.#engine, { service: name, id, isTask: container.isTask }, this.#progress),
        );
        const { imageId, state } = settled;
        return { service: name, action, imageId, containerId: id, containerName: settled.name, state };
      }),
    );
  }
}

const pushAgain = 'Push again once the device answers';

/** The failure of a container that an engine does not make or start. */
function notStarted(doing: string, error: unknown): unknown {
  const isEngines = error instanceof Failure && error.code.startsWith('engine-') && error.kind !== 'unreachable';
  if (!isEngines) return error;
  return new Failure('failed', 'container-not-started', `${doing}: ${error.message}`, {
    hint: 'Check that the program named by CMD or ENTRYPOINT is in the image and can be executed on this device',
    cause: error,
  });
}

/** Of two pushes to one device at once, one is the last; the other finds containers gone or their names taken. */
async function orOvertaken<T>(service: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const isTaken = error instanceof Failure && (error.kind === 'refused' || error.kind === 'not-found');
    throw isTaken ? pushOvertaken(service, error) : error;
  }
}

function pushOvertaken(service: string, cause: unknown): Failure {
  const message = `another push to the device has put its own container of ${service} in place`;
  return new Failure('refused', 'push-overtaken', message, { hint: 'Push again if yours is the one to run', cause });
}
