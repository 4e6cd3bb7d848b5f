import { type ContainerSummary, listContainers } from '../engine/containers.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { type EngineNetwork, listNetworks } from '../engine/networks.js';
import { type EngineVolume, listVolumes } from '../engine/volumes.js';

/** What an engine has that a deployment may change. */
export interface EngineState {
  readonly containers: readonly ContainerSummary[];
  readonly networks: readonly EngineNetwork[];
  readonly volumes: readonly EngineVolume[];
}

/** Asks an engine for everything at once: on a slow link, the questions cost one round trip. */
export async function readEngineState(engine: EngineConnection, signal?: AbortSignal): Promise<EngineState> {
  const [containers, networks, volumes] = await Promise.all([
    listContainers(engine, signal),
    listNetworks(engine, signal),
    listVolumes(engine, signal),
  ]);
  return { containers, networks, volumes };
}
