import { Failure } from '../failure/failure.js';
import type { Device } from './device.js';
import { runOnHost } from './run-on-host.js';

/** Exit code of scripts that find an update lock, as in sysexits.h for what may be tried again. */
export const lockedExitCode = 75;

/**
 * The beginning of a script that ends with `lockedExitCode` and the paths of the locks where services hold update locks, as the Supervisor
 * would: services lock themselves by a file that the host has at these places.
 */
export const unlessLocked = `
locks=$(ls -d /tmp/balena-supervisor/services/*/*/updates.lock /tmp/balena-supervisor/services/*/*/resin-updates.lock 2>/dev/null)
[ -z "$locks" ] || { echo "$locks"; exit ${lockedExitCode}; }
`;

/** The failure for locks that such a script has found. */
export function updateLocked(deviceName: string, paths: string): Failure {
  const services = paths.split('\n').flatMap((path) => /\/services\/[^/]+\/([^/]+)\//.exec(path)?.[1] ?? []);
  const holders = [...new Set(services)].sort().join(', ');
  return new Failure('refused', 'update-locked', `a service of ${deviceName} holds an update lock: ${holders}`, {
    hint: 'Wait until it gives it back, or pass --force',
  });
}

/** Fails as refused where a service of a device holds an update lock; looks by SSH. */
export async function requireUnlocked(device: Device): Promise<void> {
  await runOnHost(device, {
    doing: `looking for update locks on ${device.name}`,
    script: unlessLocked,
    failures: { [lockedExitCode]: (paths) => updateLocked(device.name, paths) },
  });
}
