import { type ContainerSummary, listContainers } from '../engine/containers.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { type EngineNetwork, listNetworks } from '../engine/networks.js';
import { isMarkedSynced } from '../engine/synced-mark.js';
import { type EngineVolume, listVolumes } from '../engine/volumes.js';
import { localRelease } from './local-release.js';

/** What an engine has that a deployment may change. */
export interface EngineState {
  readonly containers: readonly ContainerSummary[];
  readonly networks: readonly EngineNetwork[];
  readonly volumes: readonly EngineVolume[];
  /** IDs of containers whose files are no longer those of their images, see `syncedMark`. */
  readonly synced: ReadonlySet<string>;
}

/** Asks an engine for everything at once: on a slow link, the questions cost two round trips. */
export async function readEngineState(engine: EngineConnection, signal: AbortSignal): Promise<EngineState> {
  const [containers, networks, volumes] = await Promise.all([
    listContainers(engine, signal),
    listNetworks(engine, signal),
    listVolumes(engine, signal),
  ]);
  return { containers, networks, volumes, synced: await syncedAmong(containers, engine, signal) };
}

/** The IDs of those containers into which changes of a project were carried. */
export async function syncedAmong(
  containers: readonly ContainerSummary[],
  engine: EngineConnection,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const own = containers.filter(({ name }) => name.endsWith(`_${localRelease.commit}`));
  const marked = await Promise.all(
    own.map(async ({ id }) => ((await isMarkedSynced({ engine, id }, signal)) ? [id] : [])),
  );
  return new Set(marked.flat());
}
