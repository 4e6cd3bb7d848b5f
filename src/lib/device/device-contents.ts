import { type ContainerSummary, listContainers } from '../engine/containers.js';
import { listVolumes } from '../engine/volumes.js';
import { Failure } from '../failure/failure.js';
import type { Device } from './device.js';

/** What the engine of a device holds, besides the Supervisor. */
export interface DeviceContents {
  /** Containers and volumes that were pushed or made there, which the Supervisor deletes when the device leaves local mode. */
  readonly localContainers: readonly string[];
  readonly localVolumes: readonly string[];
  /** Services of the fleet that the device is in. */
  readonly fleetContainers: readonly string[];
}

/** The Supervisor and its companions, which it leaves alone. */
const supervisorName = /^(balena|resin)_supervisor$|^(helios|core-next|service-relay)/;

const appLabels = ['io.balena.app-id', 'io.resin.app-id'] as const;

/** The application that local mode has. */
const localApp = '1';

/** The Supervisor puts the application before the names of its volumes, and no label that has it. */
const volumeName = /^(\d+)_/;

/** What is known of a device whose engine is looked into. */
export interface Surroundings {
  /** Whether a cloud manages it; without one it is in local mode. */
  readonly isManaged: boolean;
  /** Whether it is known to be in local mode; else its containers tell. */
  readonly isInLocalMode?: boolean;
  readonly signal: AbortSignal;
}

/** Looks what the engine of a device holds; undefined where it cannot be reached. */
export async function deviceContents(
  device: Device,
  { isManaged, isInLocalMode = !isManaged, signal }: Surroundings,
): Promise<DeviceContents | undefined> {
  try {
    const engine = await device.engine();
    const [containers, volumes] = [await listContainers(engine, signal), await listVolumes(engine, signal)];
    const others = containers.filter(({ name }) => !supervisorName.test(name));
    const appOf = ({ labels }: ContainerSummary) => appLabels.map((label) => labels[label]).find(Boolean);
    const isFleets = (app: string | undefined) => isManaged && app !== undefined && app !== localApp;
    const isLocal = isInLocalMode || others.some((container) => appOf(container) === localApp);
    const own = others.filter((container) => !isFleets(appOf(container)));
    const ownVolumes = volumes.filter(({ name }) => !isFleets(volumeName.exec(name)?.[1]));
    return {
      localContainers: isLocal ? own.map(({ name }) => name) : [],
      localVolumes: isLocal ? ownVolumes.map(({ name }) => name) : [],
      fleetContainers: others.filter((container) => isFleets(appOf(container))).map(({ name }) => name),
    };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Failure) return undefined;
    throw error;
  }
}
