import { type ContainerSummary, listContainers, removeContainer } from '../engine/containers.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { serviceOfContainer } from '../engine/find-service.js';
import { findImage } from '../engine/images.js';
import { Failure } from '../failure/failure.js';
import type { SupervisorConnection } from '../supervisor/supervisor-connection.js';
import { definitionLabel, differingKeys } from './definition.js';
import { deployedServices, deployThroughSupervisor, wantedContainers } from './deploy-through-supervisor.js';
import type { Deployer, PlannedAction } from './deployer.js';
import { type EngineState, syncedAmong } from './engine-state.js';
import { localImageTag, localRelease } from './local-release.js';
import { syncedReason } from './plan-deployment.js';
import { supervisedApps } from './supervised-apps.js';

/** How long a Supervisor may be at something without a sign of it. */
const usualPatienceMs = 300_000;

/** How a composition is deployed by a Supervisor. */
export interface SupervisorDeployerOptions {
  /** The services that are deployed. */
  readonly chosen: ReadonlySet<string>;
  /** Whether services that are no longer part of the composition are to stay: a Supervisor removes them, so nothing is done then. */
  readonly keepOrphans: boolean;
  readonly patienceMs?: number;
}

/** The deployer for a device with a Supervisor in local mode, which does the work itself. */
export function supervisorDeployer(
  supervisor: SupervisorConnection,
  engine: EngineConnection,
  { chosen, keepOrphans, patienceMs = usualPatienceMs }: SupervisorDeployerOptions,
): Deployer {
  return {
    plan: async (composition, given, signal) => {
      const containers = await listContainers(engine, signal);
      const others = Object.keys(composition.services).filter((name) => !chosen.has(name));
      const images = new Map([...given, ...(await presentImages(engine, others, containers, signal))]);
      const told = supervisedApps(composition, new Set([...chosen, ...images.keys()]));
      const own = containers.filter(({ name }) => chosen.has(serviceOfContainer(name) ?? ''));
      const synced = await syncedAmong(own, engine, signal);
      const actions = [...told.definitions].map(([name, definition]) =>
        plannedAction(name, definition, images.get(name), { containers, synced }),
      );
      const removals = orphansAmong(containers, told.definitions);
      if (keepOrphans && removals.length > 0) throw orphansNotKept(removals);
      const isDone = [...actions, ...removals].every(({ action }) => action === 'keep');
      const deployment = { ...told, images, patienceMs };
      return {
        actions: [...actions, ...removals],
        isDone,
        run: async (options) => {
          // To the Supervisor, nothing is wrong with them; what it misses it makes anew.
          for (const id of synced) await removeContainer(engine, id, options.signal);
          if (!isDone) return deployThroughSupervisor(supervisor, engine, deployment, options);
          const present = wantedContainers(deployment, containers);
          return deployedServices(present, present);
        },
      };
    },
  };
}

/** The images of services that are not deployed and are there: what a Supervisor is not told of, it removes. */
async function presentImages(
  engine: EngineConnection,
  services: readonly string[],
  containers: readonly ContainerSummary[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const present = services.filter((name) => containers.some((one) => serviceOfContainer(one.name) === name));
  const images = await Promise.all(
    present.map(async (name) => {
      const id = await findImage(engine, localImageTag(name), signal);
      return id === undefined ? [] : [[name, id] as const];
    }),
  );
  return new Map(images.flat());
}

function orphansNotKept(removals: readonly PlannedAction[]): Failure {
  const names = removals.map(({ name }) => name).join(', ');
  const message = `the Supervisor would remove what is not part of the project: ${names}`;
  return new Failure('refused', 'orphans-not-kept', message, {
    hint: 'Push without --keep-orphans and --service if they may go',
  });
}

function plannedAction(
  name: string,
  definition: string,
  imageId: string | undefined,
  { containers, synced }: Pick<EngineState, 'containers' | 'synced'>,
): PlannedAction {
  const own = containers.filter((one) => serviceOfContainer(one.name) === name);
  const current = own.find(({ state }) => state === 'running') ?? own[0];
  const base = { kind: 'service', name } as const;
  if (current === undefined) return { ...base, action: 'create', reason: 'there is none yet' };
  const keys = differingKeys(current.labels[definitionLabel], definition);
  if (keys === undefined) return { ...base, action: 'recreate', reason: 'it was made by something else than davit' };
  const changed = [...(imageId !== undefined && imageId !== current.imageId ? ['image'] : []), ...keys];
  if (changed.length > 0) return { ...base, action: 'recreate', reason: `other ${changed.join(', ')}` };
  if (synced.has(current.id)) return { ...base, action: 'recreate', reason: syncedReason };
  return current.state === 'running'
    ? { ...base, action: 'keep', reason: 'unchanged' }
    : { ...base, action: 'start', reason: `it is ${current.state}` };
}

/** Services of the local release that are not part of it any more, which the Supervisor removes. */
function orphansAmong(
  containers: readonly ContainerSummary[],
  definitions: ReadonlyMap<string, string>,
): PlannedAction[] {
  return containers.flatMap(({ name, labels }) => {
    const service = serviceOfContainer(name);
    const isOurs = labels['io.balena.app-id'] === localRelease.appId || name.endsWith(`_${localRelease.commit}`);
    if (!isOurs || service === undefined || definitions.has(service)) return [];
    return [{ kind: 'service', name: service, action: 'remove', reason: 'it is not part of the project' } as const];
  });
}
