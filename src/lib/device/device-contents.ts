import { listContainers } from '../engine/containers.js';
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

/**
 * Looks what the engine of a device holds; undefined where it cannot be reached. A device that no cloud manages is in local mode; of one that a
 * cloud manages its containers tell.
 */
export async function deviceContents(
  device: Device,
  isManaged: boolean,
  signal: AbortSignal,
): Promise<DeviceContents | undefined> {
  try {
    const engine = await device.engine();
    const [containers, volumes] = [await listContainers(engine, signal), await listVolumes(engine, signal)];
    const others = containers.filter(({ name }) => !supervisorName.test(name));
    const isFleets = (labels: Readonly<Record<string, string>>) => {
      const app = appLabels.map((label) => labels[label]).find((one) => one !== undefined);
      return isManaged && app !== undefined && app !== localApp;
    };
    const isLocal = !isManaged || others.some(({ labels }) => appLabels.some((label) => labels[label] === localApp));
    const own = others.filter(({ labels }) => !isFleets(labels));
    return {
      localContainers: isLocal ? own.map(({ name }) => name) : [],
      localVolumes: isLocal ? volumes.filter(({ labels }) => !isFleets(labels)).map(({ name }) => name) : [],
      fleetContainers: others.filter(({ labels }) => isFleets(labels)).map(({ name }) => name),
    };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Failure) return undefined;
    throw error;
  }
}
