import { Failure } from '../failure/failure.js';
import { hasLocalModeSwitch, isInLocalMode } from '../supervisor/local-mode.js';
import type { Device } from './device.js';
import { deviceContents } from './device-contents.js';
import { requireSupervisor } from './require-supervisor.js';

/** Whether a device accepts projects, and from whom. */
export interface LocalMode {
  readonly isOn: boolean;
  /** Whether it belongs to a fleet; a device that does not is always in local mode. */
  readonly isInFleet: boolean;
}

/** What switching local mode off deletes, by name; null where the engine could not be asked. */
export interface LocalModeEnd {
  readonly containers: readonly string[] | null;
  readonly volumes: readonly string[] | null;
}

/** Asks the Supervisor of a device whether it is in local mode. */
export async function readLocalMode(device: Device, signal: AbortSignal): Promise<LocalMode> {
  const supervisor = await requireSupervisor(device);
  const isOn = await isInLocalMode(supervisor, signal);
  return { isOn, isInFleet: !isOn || (await hasLocalModeSwitch(supervisor, signal)) };
}

/** What is deleted when a device leaves local mode. Fails as refused on a device that belongs to no fleet. */
export async function planLocalModeEnd(device: Device, mode: LocalMode, signal: AbortSignal): Promise<LocalModeEnd> {
  if (!mode.isInFleet) {
    const message = `${device.name} belongs to no fleet, so it is always in local mode`;
    throw new Failure('refused', 'always-local-mode', message, {
      hint: 'It leaves local mode when it joins a fleet: davit join',
    });
  }
  const contents = await deviceContents(device, { isManaged: true, isInLocalMode: true, signal });
  return { containers: contents?.localContainers ?? null, volumes: contents?.localVolumes ?? null };
}
