import { type ContainerSummary, startContainer, stopContainer } from '../engine/containers.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import {
  connectNetwork,
  createNetwork,
  disconnectNetwork,
  type EngineNetwork,
  removeNetwork,
} from '../engine/networks.js';
import { Failure, interrupted } from '../failure/failure.js';
import type { JsonObject } from '../platform/json.js';
import type { DeploymentPlan, NetworkPlan } from './plan-deployment.js';
import type { Rollback } from './rollback.js';

/** Makes the networks of a plan what they are to be. One that changes is made anew, for which the containers on it have to stop. */
export async function prepareNetworks(
  engine: EngineConnection,
  { networks }: DeploymentPlan,
  rollback: Rollback,
  signal: AbortSignal,
): Promise<void> {
  for (const network of networks) {
    if (signal.aborted) throw interrupted();
    if (network.action === 'create' || network.action === 'recreate') await makeNetwork(engine, network, rollback);
  }
}

async function makeNetwork(
  engine: EngineConnection,
  { name, wanted, current, attached }: NetworkPlan,
  rollback: Rollback,
): Promise<void> {
  if (wanted === undefined) return;
  const staying = current === undefined ? [] : await takeApart(engine, current, attached, rollback);
  const id = await create(engine, name, wanted.spec);
  rollback.add(() => removeNetwork(engine, id));
  for (const { container, endpoint } of staying) {
    rollback.add(async () => {
      await stopContainer(engine, container.id);
      await disconnectNetwork(engine, { id, name: wanted.name }, container.id);
    });
    await connectNetwork(engine, id, container.id, endpoint);
    if (container.state === 'running') await startContainer(engine, container.id);
  }
}

/** Removes a network, and returns the containers that are to go on afterwards. */
async function takeApart(
  engine: EngineConnection,
  network: EngineNetwork,
  attached: NetworkPlan['attached'],
  rollback: Rollback,
): Promise<readonly { readonly container: ContainerSummary; readonly endpoint: JsonObject }[]> {
  const endpoints = [];
  for (const { container, stays } of attached) {
    if (container.state === 'running' || container.state === 'restarting') {
      rollback.stopped(container.name, container.id);
      await stopContainer(engine, container.id);
    }
    const endpoint = await disconnectNetwork(engine, network, container.id);
    rollback.add(() => connectNetwork(engine, network.name, container.id, endpoint));
    if (stays) endpoints.push({ container, endpoint });
  }
  await removeNetwork(engine, network.id);
  rollback.add(async () => {
    await createNetwork(engine, network.spec);
  });
  return endpoints;
}

async function create(engine: EngineConnection, name: string, spec: JsonObject): Promise<string> {
  try {
    return await createNetwork(engine, spec);
  } catch (error) {
    if (!(error instanceof Failure) || error.kind === 'unreachable') throw error;
    const message = `creating the network ${name}: ${error.message}`;
    throw new Failure('failed', 'network-not-created', message, { cause: error });
  }
}
