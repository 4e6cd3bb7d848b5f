import { Failure } from '../failure/failure.js';
import { limit } from '../platform/limit.js';
import type { ProgressListener } from '../platform/progress.js';
import { waitAtMost } from '../platform/wait.js';
import { hasLocalModeSwitch, isInLocalMode, leaveLocalMode } from '../supervisor/local-mode.js';
import type { SupervisorConnection } from '../supervisor/supervisor-connection.js';
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

const pollMs = 500;

/** Asks the Supervisor of a device whether it is in local mode. */
export async function readLocalMode(device: Device, signal: AbortSignal): Promise<LocalMode> {
  const supervisor = await requireSupervisor(device);
  const isOn = await isInLocalMode(supervisor, signal);
  return { isOn, isInFleet: !isOn || (await hasLocalModeSwitch(supervisor, signal)) };
}

/** The failure for a device whose local mode is to be switched on, which only its cloud can do. */
export function switchedByCloud(device: Device): Failure {
  const message = `${device.name} belongs to a fleet, whose cloud alone can switch its local mode on`;
  return new Failure('refused', 'local-mode-by-cloud', message, {
    hint:
      'Set BALENA_SUPERVISOR_LOCAL_MODE to 1 in the device configuration of its dashboard; it has to be in development mode for that. ' +
      'What a device in production mode needs is davit push through SSH',
  });
}

/** What is deleted when a device leaves local mode. Fails as refused on a device that belongs to no fleet. */
export async function planLocalModeEnd(device: Device, mode: LocalMode, signal: AbortSignal): Promise<LocalModeEnd> {
  if (!mode.isInFleet) {
    const message = `${device.name} belongs to no fleet, so it is always in local mode`;
    throw new Failure('refused', 'always-local-mode', message, {
      hint: 'It leaves local mode when it joins a fleet: davit join',
    });
  }
  const contents = await deviceContents(device, true, signal);
  return { containers: contents?.localContainers ?? null, volumes: contents?.localVolumes ?? null };
}

/** Switches local mode off and waits until the Supervisor obeys its cloud alone. */
export async function endLocalMode(
  device: Device,
  {
    waitMs,
    signal,
    progress,
  }: { readonly waitMs: number; readonly signal: AbortSignal; readonly progress: ProgressListener },
): Promise<void> {
  const supervisor = await requireSupervisor(device);
  const step = { type: 'step', id: device.name, phase: 'leave local mode' } as const;
  progress({ ...step, state: 'active' });
  await leaveLocalMode(supervisor, signal);
  const wait = limit(signal, waitMs);
  try {
    while (!wait.signal.aborted) {
      if (!(await stillObeys(supervisor, wait.signal))) {
        progress({ ...step, state: 'done' });
        return;
      }
      await waitAtMost(pollMs, wait.signal);
    }
  } finally {
    wait.end();
  }
  signal.throwIfAborted();
  progress({ ...step, state: 'failed' });
  const message = `${device.name} is still in local mode after ${Math.round(waitMs / 1000)} s`;
  throw new Failure('failed', 'still-local-mode', message, {
    hint: `Its Supervisor may say why: davit ssh ${device.name} -- journalctl -u balena-supervisor -n 50`,
  });
}

/** A port that is closed again is what leaving local mode looks like from the network. */
async function stillObeys(supervisor: SupervisorConnection, signal: AbortSignal): Promise<boolean> {
  try {
    return await isInLocalMode(supervisor, signal);
  } catch (error) {
    if (signal.aborted) return true;
    if (error instanceof Failure && error.kind === 'unreachable') return false;
    throw error;
  }
}
