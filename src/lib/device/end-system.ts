import { Failure } from '../failure/failure.js';
import { endSystem } from '../supervisor/actions.js';
import { bySupervisor } from './by-supervisor.js';
import type { Device } from './device.js';
import { runOnHost } from './run-on-host.js';
import { lockedExitCode, unlessLocked, updateLocked } from './update-locks.js';

/** How a system is ended. */
export interface EndOptions {
  /** Does it although a service holds an update lock. */
  readonly force: boolean;
  readonly signal: AbortSignal;
}

/** What systemd calls it. */
const verbs = { reboot: 'reboot', shutdown: 'poweroff' } as const;

/**
 * Makes a device restart or switch itself off, through its Supervisor or by SSH; returns when it has begun. Fails as refused while a service
 * holds an update lock.
 */
export async function endDevice(device: Device, how: keyof typeof verbs, { force, signal }: EndOptions): Promise<void> {
  await bySupervisor(
    device,
    (supervisor) => endSystem(supervisor, how, { force, signal }),
    async () => {
      try {
        await runOnHost(device, {
          doing: `telling ${device.name} to ${how === 'reboot' ? 'restart' : 'switch itself off'}`,
          script: `${force ? '' : unlessLocked}exec systemctl ${verbs[how]} --no-block`,
          failures: { [lockedExitCode]: (paths) => updateLocked(device.name, paths) },
        });
      } catch (error) {
        // It may be gone before it has answered.
        if (!(error instanceof Failure && error.code === 'connection-lost')) throw error;
      }
    },
  );
}
