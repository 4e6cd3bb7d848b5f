import { type ContainerSummary, listContainers, removeContainer } from '../engine/containers.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { serviceOfContainer } from '../engine/find-service.js';
import type { SupervisorConnection } from '../supervisor/supervisor-connection.js';
import { definitionLabel, differingKeys } from './definition.js';
import { deployedServices, deployThroughSupervisor, wantedContainers } from './deploy-through-supervisor.js';
import type { Deployer, PlannedAction } from './deployer.js';
import { type EngineState, syncedAmong } from './engine-state.js';
import { localRelease } from './local-release.js';
import { syncedReason } from './plan-deployment.js';
import { supervisedApps } from './supervised-apps.js';

/** How long a Supervisor may be at something without a sign of it. */
const usualPatienceMs = 300_000;

/** The deployer for a device with a Supervisor in local mode, which does the work itself. */
export function supervisorDeployer(
  supervisor: SupervisorConnection,
  engine: EngineConnection,
  { patienceMs = usualPatienceMs }: { readonly patienceMs?: number } = {},
): Deployer {
  return {
    plan: async (composition, images, signal) => {
      const told = supervisedApps(composition);
      const containers = await listContainers(engine, signal);
      const synced = await syncedAmong(containers, engine, signal);
      const actions = [...told.definitions].map(([name, definition]) =>
        plannedAction(name, definition, images.get(name), { containers, synced }),
      );
      const removals = orphansAmong(containers, told.definitions);
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
