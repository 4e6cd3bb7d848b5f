import type { Device } from '../device/device.js';
import { readLiveConfig } from '../device/live-config.js';
import { runScript } from '../device/run-script.js';
import { Failure } from '../failure/failure.js';
import { changeDevice } from './change-device.js';
import type { RunOptions } from './join.js';
import { managedBy } from './managed-by.js';
import type { Planned } from './plan-join.js';
import type { LeavePlan } from './plan-leave.js';
import { secretMask } from './secret-mask.js';
import { waitForDevice } from './wait-for-device.js';

/**
 * Carries out a planned leave, and waits until the Supervisor runs without a cloud. Fails with `not-left` when that takes too long. Does
 * nothing where there is nothing to leave.
 */
export async function leave(
  device: Device,
  { plan, change, configs }: Planned<LeavePlan>,
  { timeoutMs, signal, progress }: RunOptions,
): Promise<void> {
  if (plan.leaves === null) return;
  await changeDevice(device, change, { signal, progress, mask: secretMask(configs) });
  if (timeoutMs === 0) return;
  const what = 'for the Supervisor to run without a cloud';
  if (await waitForDevice(device, () => hasLeft(device), { what, timeoutMs, signal, progress })) return;
  const message = `${device.name} has left, but its Supervisor does not run after ${timeoutMs / 1000} s`;
  throw new Failure('failed', 'not-left', message, {
    hint: `See why: davit ssh ${device.name} -- systemctl status balena-supervisor`,
    report: { device: device.name, state: 'left' },
  });
}

/** A device without a Supervisor need not run one. */
const supervisorScript = `
for unit in balena-supervisor resin-supervisor; do
  systemctl cat "$unit" >/dev/null 2>&1 || continue
  systemctl is-active --quiet "$unit"
  exit
done`;

async function hasLeft(device: Device): Promise<boolean> {
  if (managedBy((await readLiveConfig(device)).config) !== undefined) return false;
  return (await runScript(await device.ssh(), supervisorScript)).exitCode === 0;
}
