import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { findProgram } from './child-process.js';

const retryMs = 100;

/**
 * Locks what a descriptor is open on, for as long as it is open, and tells whether nobody else had. It is the lock of flock(2), which dies
 * with the process, and by which udev keeps its hands off drives that are written (https://systemd.io/BLOCK_DEVICE_LOCKING). The kernel ties
 * it to what was opened, so a child may take it. Where there is no such program, nothing is locked.
 *
 * @param patienceMs how long to wait for somebody else to let go
 */
export async function lockDescriptor(descriptor: number, patienceMs = 0): Promise<boolean> {
  const flock = await findProgram('flock');
  if (flock === undefined) return true;
  const end = performance.now() + patienceMs;
  for (;;) {
    const child = spawn(flock, ['-x', '-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', descriptor] });
    await once(child, 'exit');
    // Anything but 1 means that the file system or the program knows no such lock.
    if (child.exitCode !== 1) return true;
    if (performance.now() >= end) return false;
    await wait(retryMs);
  }
}
