import { type ContainerSummary, inspectContainer, listContainers } from '../engine/containers.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { serviceOfContainer } from '../engine/find-service.js';
import { Failure, interrupted } from '../failure/failure.js';
import type { ProgressListener } from '../platform/progress.js';
import { waitAtMost } from '../platform/wait.js';
import { type ApplyStatus, applyStatus, setLocalApps } from '../supervisor/local-state.js';
import type { SupervisorConnection } from '../supervisor/supervisor-connection.js';
import { definitionLabel } from './definition.js';
import type { DeployedService, DeployOptions } from './deployer.js';
import type { SupervisedApps } from './supervised-apps.js';
import { showLastLines } from './wait-for-service.js';

/** What a Supervisor is asked to run. */
export interface SupervisedDeployment extends SupervisedApps {
  /** IDs of the images under the services' local tags. */
  readonly images: ReadonlyMap<string, string>;
  /** How long the Supervisor may take without any change. */
  readonly patienceMs: number;
}

const pollMs = 500;

/**
 * Has the device's Supervisor run a composition, as balena-cli does: the Supervisor finds that local tags name other images and replaces
 * those containers, as it does for other definitions. Returns once every service runs, or has ended well.
 */
export async function deployThroughSupervisor(
  supervisor: SupervisorConnection,
  engine: EngineConnection,
  deployment: SupervisedDeployment,
  { signal, progress }: DeployOptions,
): Promise<readonly DeployedService[]> {
  const { apps, definitions, patienceMs } = deployment;
  const services = [...definitions.keys()];
  for (const id of services)
    progress({ type: 'step', id, phase: 'start', state: 'active', detail: 'by the Supervisor' });
  const before = wantedContainers(deployment, await listContainers(engine, signal));
  await setLocalApps(supervisor, apps, signal);
  const shown = new Map<string, string>();
  let lastChange = performance.now();
  for (;;) {
    const status = await applyStatus(supervisor, signal);
    const now = wantedContainers(deployment, await listContainers(engine, signal));
    for (const service of services) {
      const state = stateOf(service, now.get(service), status);
      if (state === shown.get(service)) continue;
      shown.set(service, state);
      lastChange = performance.now();
      const isDone = state === done;
      const detail = isDone ? {} : { detail: `Supervisor: ${state}` };
      progress({ type: 'step', id: service, phase: 'start', state: isDone ? 'done' : 'active', ...detail });
    }
    const missing = services.filter((service) => shown.get(service) !== done);
    if (missing.length === 0) return deployedServices(before, now);
    if (performance.now() - lastChange > patienceMs)
      throw await notStarted(engine, missing, shown, patienceMs, progress);
    await waitAtMost(pollMs, signal);
    if (signal.aborted) throw interrupted();
  }
}

const done = 'done';

/** What a service is about, in the Supervisor's words, or that there is nothing more to wait for. */
function stateOf(
  service: string,
  container: ContainerSummary | undefined,
  { isApplied, services }: ApplyStatus,
): string {
  const isUp = container?.state === 'running' || container?.state === 'restarting';
  const hasEnded = isApplied && container?.state === 'exited' && container.exitCode === 0;
  return isUp || hasEnded ? done : (services.get(service) ?? 'nothing yet');
}

/** The containers that are as they should be, by service. */
export function wantedContainers(
  { definitions, images }: Pick<SupervisedDeployment, 'definitions' | 'images'>,
  containers: readonly ContainerSummary[],
): ReadonlyMap<string, ContainerSummary> {
  return new Map(
    containers.flatMap((one) => {
      const service = serviceOfContainer(one.name);
      if (service === undefined || images.get(service) !== one.imageId) return [];
      return definitions.get(service) === one.labels[definitionLabel] ? [[service, one] as const] : [];
    }),
  );
}

/** What became of each service. */
export function deployedServices(
  before: ReadonlyMap<string, ContainerSummary>,
  now: ReadonlyMap<string, ContainerSummary>,
): DeployedService[] {
  return [...now].map(([service, { id, name, imageId, state }]) => {
    const action = before.get(service)?.id === id ? 'keep' : 'create';
    return { service, action, imageId, containerId: id, containerName: name, state };
  });
}

/** Says which services do not run, with the last that they and the Supervisor said. */
async function notStarted(
  engine: EngineConnection,
  missing: readonly string[],
  states: ReadonlyMap<string, string>,
  patienceMs: number,
  progress: ProgressListener,
): Promise<Failure> {
  const all = await listContainers(engine);
  for (const service of missing) {
    progress({ type: 'step', id: service, phase: 'start', state: 'failed' });
    const own = all.find(({ name }) => serviceOfContainer(name) === service);
    if (own !== undefined) await showLastLines(engine, service, await inspectContainer(engine, own.id), progress);
  }
  const keeper = all.find(({ name }) => /^(balena|resin)_supervisor$/.test(name));
  if (keeper !== undefined)
    await showLastLines(engine, 'Supervisor', await inspectContainer(engine, keeper.id), progress);
  const reports = missing.map((service) => `${service} (${states.get(service) ?? 'nothing yet'})`).join(', ');
  const message = `after ${patienceMs / 1000} s without a change, the Supervisor has not started ${reports}`;
  return new Failure('failed', 'container-not-started', message, {
    hint: 'Its own log says why: davit ssh <device> -- journalctl -u balena-supervisor -n 50',
  });
}
