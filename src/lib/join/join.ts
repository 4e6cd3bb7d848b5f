import { stripVTControlCharacters } from 'node:util';
import type { Device } from '../device/device.js';
import { readLiveConfig } from '../device/live-config.js';
import { runScript } from '../device/run-script.js';
import { Failure } from '../failure/failure.js';
import type { ProgressListener } from '../platform/progress.js';
import { changeDevice } from './change-device.js';
import { secretMask } from './secret-mask.js';
import type { JoinPlan, Planned } from './plan-join.js';
import { waitForDevice } from './wait-for-device.js';

/** What a planned join or leave is carried out with. */
export interface RunOptions {
  /** How long the device is waited for afterwards, in milliseconds; 0 for not at all. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

/** How far a device has come. */
export interface JoinOutcome {
  /** Whether the cloud knows it; null where that was not waited for. */
  readonly isRegistered: boolean | null;
}

/**
 * Carries out a planned join, and waits until the device has registered with its cloud. Fails with `not-registered` when that takes too long:
 * the device has joined by then, and goes on trying.
 */
export async function join(
  device: Device,
  { plan, change, configs }: Planned<JoinPlan>,
  { timeoutMs, signal, progress }: RunOptions,
): Promise<JoinOutcome> {
  const mask = secretMask(configs);
  await changeDevice(device, change, { signal, progress, mask });
  if (timeoutMs === 0) return { isRegistered: null };
  const what = `for the device to register with ${plan.apiEndpoint}`;
  const options = { what, timeoutMs, signal, progress };
  const sayThatItGoesOn = () => {
    progress({ type: 'notice', level: 'info', text: `${device.name} has joined, and goes on without davit` });
  };
  signal.addEventListener('abort', sayThatItGoesOn, { once: true });
  try {
    if (await waitForDevice(device, () => isRegistered(device, plan.apiEndpoint), options))
      return { isRegistered: true };
  } finally {
    signal.removeEventListener('abort', sayThatItGoesOn);
  }
  throw await notRegistered(device, plan.apiEndpoint, timeoutMs, mask);
}

/** Whether a device has what the Supervisor calls provisioned. */
async function isRegistered(device: Device, wanted: string): Promise<boolean> {
  const { uuid, apiEndpoint, registered_at: registeredAt, deviceId } = (await readLiveConfig(device)).config;
  return apiEndpoint === wanted && [uuid, registeredAt, deviceId].every((value) => (value ?? '') !== '');
}

async function notRegistered(device: Device, api: string, timeoutMs: number, mask: (line: string) => string) {
  const said = await supervisorSays(device);
  const words = said === undefined ? '' : `; its Supervisor says: ${mask(said)}`;
  const message = `${device.name} has joined, but has not registered with ${api} in ${timeoutMs / 1000} s${words}`;
  return new Failure('unreachable', 'not-registered', message, {
    hint: `It goes on trying. See how: davit ssh ${device.name} -- journalctl -u balena-supervisor -f`,
    report: { device: device.name, state: 'joined' },
  });
}

/** The last thing that the Supervisor has said, which is most likely why it does not get on. */
async function supervisorSays(device: Device): Promise<string | undefined> {
  const script = 'journalctl --unit balena-supervisor --lines 1 --output cat --no-pager';
  try {
    const { exitCode, stdout } = await runScript(await device.ssh(), script);
    const line = stripVTControlCharacters(String(stdout)).trim();
    return exitCode === 0 && line !== '' ? line : undefined;
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}
