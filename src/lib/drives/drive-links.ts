import { readdir, readlink } from 'node:fs/promises';
import path from 'node:path';
import type { HostView } from './host-view.js';

/** The names that udev gives drives. */
export interface DriveLinks {
  /** Names in /dev/disk/by-id, without the folder: `usb-SanDisk_Ultra_4C530001-0:0`. */
  readonly byId: readonly string[];
  /** Names in /dev/disk/by-path. */
  readonly byPath: readonly string[];
}

/** Finds the links of all devices, by their kernel names. Without udev there are none. */
export async function readDriveLinks(host: HostView): Promise<(name: string) => DriveLinks> {
  const [byId, byPath] = await Promise.all(
    ['by-id', 'by-path'].map((kind) => linksIn(path.join(host.devices, 'disk', kind))),
  );
  return (name) => ({ byId: byId?.get(name) ?? [], byPath: byPath?.get(name) ?? [] });
}

async function linksIn(folder: string): Promise<Map<string, string[]>> {
  const links = new Map<string, string[]>();
  // There is no such folder where no udev runs, and a link may go while it is looked at.
  for (const name of (await readdir(folder).catch(() => [])).sort()) {
    const target = await readlink(path.join(folder, name)).catch(() => undefined);
    if (target === undefined) continue;
    const device = path.basename(target);
    links.set(device, [...(links.get(device) ?? []), name]);
  }
  return links;
}
