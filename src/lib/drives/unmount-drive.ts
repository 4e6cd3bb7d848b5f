import { Failure } from '../failure/failure.js';
import { run } from '../platform/child-process.js';
import { commandLineAsRoot } from '../platform/environment.js';
import type { Drive } from './drive.js';
import { findDriveUses } from './drive-uses.js';
import { thisHost } from './host-view.js';

/**
 * Unmounts everything that is mounted from a drive, as `umount` does it: what is still in use stays mounted, and then this fails. Never
 * lazily or by force, because a file system that is only hidden would still be written to.
 */
export async function unmountDrive(drive: Pick<Drive, 'path'>): Promise<void> {
  const name = drive.path.replace('/dev/', '');
  const mountPoints = async () => {
    const uses = await findDriveUses(name, thisHost);
    return uses.flatMap((use) => (use.kind === 'mounted' ? (use.mountPoint ?? []) : []));
  };
  // What is mounted inside something else has the longer path.
  const innermostFirst = (await mountPoints()).sort((a, b) => b.length - a.length);
  for (const mountPoint of innermostFirst) await unmount(mountPoint, drive.path);
  const [left] = await mountPoints();
  if (left !== undefined) throw stillMounted(drive.path, left, 'it is mounted again');
}

async function unmount(mountPoint: string, drive: string): Promise<void> {
  const { exitCode, stderr } = await run('umount', ['--', mountPoint]);
  if (exitCode === 0) return;
  if (process.getuid?.() !== 0) {
    throw new Failure('permission', 'unmount-denied', `unmounting ${mountPoint}: permission denied`, {
      hint: `Run it as root: ${commandLineAsRoot()}`,
    });
  }
  throw stillMounted(drive, mountPoint, stderr.trim().split('\n').at(-1) ?? '');
}

function stillMounted(drive: string, mountPoint: string, reason: string): Failure {
  return new Failure('refused', 'unmount-failed', `${drive} cannot be unmounted from ${mountPoint}: ${reason}`, {
    hint: `Find out what uses it: sudo fuser --verbose --mount '${mountPoint}'`,
  });
}
