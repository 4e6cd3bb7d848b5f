import { type ContainerDetails, inspectContainer, listContainers } from '../engine/containers.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { serviceOfContainer } from '../engine/find-service.js';
import { Failure } from '../failure/failure.js';
import type { JsonObject } from '../platform/json.js';
import { ignoreProgress, type ProgressListener } from '../platform/progress.js';
import { waitAtMost } from '../platform/wait.js';
import { applyStatus, setLocalApps } from '../supervisor/local-state.js';
import type { SupervisorConnection } from '../supervisor/supervisor-connection.js';
import { localImageTag, localRelease } from '../deploy/local-release.js';
import type { RunningContainer } from './replace-container.js';
import { singleServiceComposition } from './service-container.js';

/** What a Supervisor is asked to run. */
export interface SupervisedDeployment {
  readonly service: string;
  /** The image that was built under the service's local tag; how we see that the new container is there. */
  readonly imageId: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** What goes with a deployment besides its subject. */
export interface DeployOptions {
  readonly signal: AbortSignal;
  readonly progress?: ProgressListener;
  /** How long the Supervisor may take, five minutes by default. */
  readonly timeoutMs?: number;
}

const pollMs = 500;

/**
 * Has the device's Supervisor run a service, as balena-cli does: the Supervisor finds that the local tag names another image
 * and replaces the container, as it does for other variables. Returns once the new container runs.
 */
export async function deployThroughSupervisor(
  supervisor: SupervisorConnection,
  engine: EngineConnection,
  { service, imageId, environment }: SupervisedDeployment,
  { signal, progress = ignoreProgress, timeoutMs = 300_000 }: DeployOptions,
): Promise<RunningContainer> {
  const step = { type: 'step', id: service, phase: 'start' } as const;
  progress({ ...step, state: 'active', detail: 'by the Supervisor' });
  const before = await containerOfImage(engine, service, imageId, signal);
  await setLocalApps(supervisor, localApps(service, environment), signal);
  const deadline = performance.now() + timeoutMs;
  let status = 'nothing yet';
  while (performance.now() < deadline) {
    const { isApplied, services } = await applyStatus(supervisor, signal);
    const container = await containerOfImage(engine, service, imageId, signal);
    // A container that was there already may be about to be replaced.
    const isNew = isApplied || container?.id !== before?.id;
    if (isNew && (container?.state === 'running' || container?.state === 'restarting')) {
      progress({ ...step, state: 'done' });
      return container;
    }
    status = services.get(service) ?? status;
    progress({ ...step, state: 'active', detail: `Supervisor: ${status}` });
    await waitAtMost(pollMs, signal);
    signal.throwIfAborted();
  }
  progress({ ...step, state: 'failed' });
  const message = `the Supervisor has not started ${service} within ${timeoutMs / 1000} s; it reports: ${status}`;
  throw new Failure('failed', 'container-not-started', message, {
    hint: 'Its own log says why: davit ssh <device> -- journalctl -u balena-supervisor -n 50',
  });
}

function localApps(service: string, environment: Readonly<Record<string, string>>): JsonObject {
  const { networkMode, restart, privileged, hasTerminal, volume, mountPoint, labels } = singleServiceComposition;
  return {
    [localRelease.appId]: {
      name: localRelease.appName,
      commit: localRelease.commit,
      releaseId: localRelease.releaseId,
      services: {
        1: {
          imageId: 1,
          serviceId: 1,
          serviceName: service,
          image: localImageTag(service),
          running: true,
          environment,
          labels,
          privileged,
          restart,
          tty: hasTerminal,
          network_mode: networkMode,
          volumes: [`${volume}:${mountPoint}`],
        },
      },
      volumes: { [volume]: {} },
      networks: {},
    },
  };
}

async function containerOfImage(
  engine: EngineConnection,
  service: string,
  imageId: string,
  signal: AbortSignal,
): Promise<ContainerDetails | undefined> {
  const all = await listContainers(engine, signal);
  const found = all.find((one) => one.imageId === imageId && serviceOfContainer(one.name) === service);
  return found === undefined ? undefined : inspectContainer(engine, found.id, signal);
}
