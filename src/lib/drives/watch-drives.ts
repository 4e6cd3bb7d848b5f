import { interrupted } from '../failure/failure.js';
import { waitAtMost } from '../platform/wait.js';
import type { Drive, ExamineOptions } from './drive.js';
import { blockAttribute, blockNames, type HostView, readMounts, readSwapDevices, thisHost } from './host-view.js';
import { listDrives } from './list-drives.js';

/** How drives are watched. */
export interface WatchOptions extends ExamineOptions {
  readonly signal: AbortSignal;
  readonly intervalMs?: number;
}

/** A drive that came, went, or is not as it was: another card in the same reader, a file system mounted. */
export interface DriveChange {
  readonly type: 'added' | 'removed' | 'changed';
  readonly drive: Drive;
}

/** After something happened the drives are looked at so many times more: udev tells what is on a card only after it has looked at it. */
const looksAfterChange = 4;

/**
 * Gives all drives, and again whenever something about them has changed, until the signal is aborted; then it fails with `interrupted`.
 * It polls the kernel's few lines about them, which takes about a millisecond and works in containers, where no udev tells anything.
 */
export async function* watchDrives(options: WatchOptions): AsyncGenerator<readonly Drive[]> {
  const { host = thisHost, accepted, signal, intervalMs = 500 } = options;
  let seen: string | undefined;
  let shown: string | undefined;
  let looks = 0;
  while (!signal.aborted) {
    const glimpse = await glimpseOf(host);
    if (glimpse !== seen) looks = looksAfterChange;
    seen = glimpse;
    if (looks > 0) {
      looks -= 1;
      const drives = await listDrives(host, accepted);
      const text = drives.map(textOf).join('\n');
      if (text !== shown) yield drives;
      shown = text;
    }
    await waitAtMost(intervalMs, signal);
  }
  throw interrupted();
}

/** What is different between two lists of drives. */
export function driveChanges(before: readonly Drive[], now: readonly Drive[]): DriveChange[] {
  const old = new Map(before.map((drive) => [drive.path, drive]));
  const paths = new Set(now.map((drive) => drive.path));
  return [
    ...before.flatMap((drive): DriveChange[] => (paths.has(drive.path) ? [] : [{ type: 'removed', drive }])),
    ...now.flatMap((drive): DriveChange[] => {
      const previous = old.get(drive.path);
      if (previous === undefined) return [{ type: 'added', drive }];
      return textOf(previous) === textOf(drive) ? [] : [{ type: 'changed', drive }];
    }),
  ];
}

/** Everything that is said about a drive. */
function textOf(drive: Drive): string {
  const refusals = drive.refusals.map(({ failure }) => `${failure.code} ${failure.message}`);
  return JSON.stringify({ ...drive, refusals });
}

/** What cannot stay the same when a drive comes, goes, is mounted or gets another card. */
async function glimpseOf(host: HostView): Promise<string> {
  const wholes = await blockNames(host, 'block');
  const states = await Promise.all(
    wholes.map(async (name) => {
      const attributes = ['size', 'ro', 'diskseq'].map((key) => blockAttribute(host, name, key));
      return [name, ...(await Promise.all(attributes))].join(' ');
    }),
  );
  const all = await blockNames(host, 'class', 'block');
  const used = [await readMounts(host), await readSwapDevices(host)];
  return JSON.stringify([states.sort(), all.sort(), used]);
}
