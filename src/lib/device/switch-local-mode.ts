import { Failure } from '../failure/failure.js';
import type { Account } from '../fleet/account.js';
import { setCloudLocalMode } from '../fleet/local-mode-setting.js';
import { limit } from '../platform/limit.js';
import type { ProgressListener } from '../platform/progress.js';
import { waitAtMost } from '../platform/wait.js';
import { readUuid } from '../ssh/device-uuid.js';
import { fetchTargetState } from '../supervisor/actions.js';
import { isInLocalMode, leaveLocalMode } from '../supervisor/local-mode.js';
import type { SupervisorConnection } from '../supervisor/supervisor-connection.js';
import type { Device } from './device.js';
import { requireSupervisor } from './require-supervisor.js';

/** How local mode of a device is switched. */
export interface SwitchRequest {
  /** The login to the cloud that the device belongs to; undefined without one. */
  readonly account: Account | undefined;
  readonly waitMs: number;
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

const pollMs = 500;

/**
 * Switches local mode of a device on, which only the cloud of its fleet can do: tells that, has the Supervisor ask the cloud at once, and waits
 * until it obeys. Fails as refused without a login to the cloud.
 */
export async function enterLocalMode(device: Device, request: SwitchRequest): Promise<void> {
  const { account, signal } = request;
  if (account === undefined) throw switchedByCloud(device);
  const supervisor = await requireSupervisor(device);
  const uuid = await readUuid(await device.ssh());
  if (uuid === undefined) throw switchedByCloud(device);
  await setCloudLocalMode(account, uuid, true, signal);
  await fetchTargetState(supervisor, signal).catch((error: unknown) => {
    // Without a key it asks when its time comes.
    if (!(error instanceof Failure) || error.kind === 'interrupted') throw error;
  });
  await untilSwitched(device, supervisor, true, request);
}

/**
 * Switches local mode of a device off, in its cloud too where there is a login, and waits until the Supervisor obeys that alone. Deletes
 * what was made in local mode.
 */
export async function endLocalMode(device: Device, request: SwitchRequest): Promise<void> {
  const { account, signal, progress } = request;
  const supervisor = await requireSupervisor(device);
  if (account !== undefined) {
    try {
      const uuid = await readUuid(await device.ssh());
      if (uuid !== undefined) await setCloudLocalMode(account, uuid, false, signal);
    } catch (error) {
      if (!(error instanceof Failure) || error.kind === 'interrupted') throw error;
      const text = `${error.message}; if local mode is switched on there, the device goes back to it`;
      progress({ type: 'notice', level: 'warning', text });
    }
  }
  await leaveLocalMode(supervisor, signal);
  await untilSwitched(device, supervisor, false, request);
}

async function untilSwitched(
  device: Device,
  supervisor: SupervisorConnection,
  isOn: boolean,
  { waitMs, signal, progress }: SwitchRequest,
): Promise<void> {
  const step = { type: 'step', id: device.name, phase: 'switch local mode' } as const;
  progress({ ...step, state: 'active', detail: isOn ? 'on' : 'off' });
  const wait = limit(signal, waitMs);
  try {
    while (!wait.signal.aborted) {
      if ((await obeysAnybody(supervisor, wait.signal)) === isOn) {
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
  const seconds = Math.round(waitMs / 1000);
  const message = `local mode of ${device.name} was switched ${isOn ? 'on' : 'off'}, which has had no effect within ${seconds} s`;
  throw new Failure('failed', 'local-mode-unchanged', message, {
    hint: `Its Supervisor may say why: davit ssh ${device.name} -- journalctl -u balena-supervisor -n 50`,
  });
}

/** A port that is closed again is what leaving local mode looks like from the network; undefined while nothing can be told. */
async function obeysAnybody(supervisor: SupervisorConnection, signal: AbortSignal): Promise<boolean | undefined> {
  try {
    return await isInLocalMode(supervisor, signal);
  } catch (error) {
    if (signal.aborted) return undefined;
    if (error instanceof Failure && error.kind === 'unreachable') return false;
    throw error;
  }
}

function switchedByCloud(device: Device): Failure {
  const message = `${device.name} belongs to a fleet, whose cloud alone can switch its local mode on`;
  return new Failure('refused', 'local-mode-by-cloud', message, {
    hint:
      'Log in to that: davit login. Or set BALENA_SUPERVISOR_LOCAL_MODE to 1 in the device configuration of its dashboard. ' +
      'The device has to be in development mode',
  });
}
