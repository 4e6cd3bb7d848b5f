import path from 'node:path';
import { blockAttribute, blockNames, type HostView, partitionNames, readMounts, readSwapDevices } from './host-view.js';

/** Something that uses a drive, so that it must not be written. */
export interface DriveUse {
  readonly kind: 'system' | 'swap' | 'mounted' | 'held';
  /** Who uses which part: "/dev/sda1 is mounted at /boot". */
  readonly text: string;
  readonly mountPoint?: string;
}

/** Folders whose loss the running system would not survive. */
const systemFolders = ['/boot', '/usr', '/etc', '/var', '/home', '/opt', '/root', '/nix'];

/**
 * Everything that uses a drive or any part of it, also through RAID, LVM, encryption and loop devices; the most serious first.
 *
 * @param name the kernel's name of the whole drive: "sdb"
 */
export async function findDriveUses(name: string, host: HostView): Promise<DriveUse[]> {
  const parts = await partsOf(name, host);
  const mounts = await readMounts(host);
  const swaps = (await readSwapDevices(host)).map((swap) => path.basename(swap));
  const uses: DriveUse[] = [];
  for (const part of parts) {
    for (const { deviceNumber, mountPoint, source } of mounts) {
      // btrfs has device numbers of its own, but names one of its drives.
      if (deviceNumber !== part.deviceNumber && source !== `/dev/${part.name}`) continue;
      const kind = isSystemFolder(mountPoint) ? 'system' : 'mounted';
      uses.push({ kind, text: `${describe(part)} is mounted at ${mountPoint}`, mountPoint });
    }
    if (swaps.includes(part.name)) uses.push({ kind: 'swap', text: `${describe(part)} is used as swap` });
    if (part.heldThrough !== undefined) uses.push({ kind: 'held', text: describe(part) });
  }
  const order = ['system', 'swap', 'mounted', 'held'];
  const unique = new Map(uses.map((use) => [use.text, use]));
  return [...unique.values()].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
}

/** The drive, a partition of it, or a device that is made of them. */
interface DrivePart {
  readonly name: string;
  readonly deviceNumber: string | undefined;
  /** What it is and of which part it is made, for devices on top of the drive. */
  readonly heldThrough: string | undefined;
}

function describe(part: DrivePart): string {
  return part.heldThrough === undefined ? `/dev/${part.name}` : `/dev/${part.name} (${part.heldThrough})`;
}

async function partsOf(drive: string, host: HostView): Promise<DrivePart[]> {
  const found = new Map<string, DrivePart>();
  const loops = await loopsByBackingDevice(host);
  const add = async (name: string, heldThrough: string | undefined): Promise<void> => {
    if (found.has(name)) return;
    found.set(name, { name, deviceNumber: await blockAttribute(host, name, 'dev'), heldThrough });
    for (const partition of await partitionNames(host, name)) await add(partition, heldThrough);
    const holders = [...(await blockNames(host, 'class', 'block', name, 'holders')), ...(loops.get(name) ?? [])];
    for (const holder of holders) await add(holder, `${await kindOf(holder, host)} on /dev/${name}`);
  };
  await add(drive, undefined);
  return [...found.values()];
}

async function kindOf(holder: string, host: HostView): Promise<string> {
  const mapped = await blockAttribute(host, holder, 'dm/uuid');
  if (mapped !== undefined) {
    const label = (await blockAttribute(host, holder, 'dm/name')) ?? '';
    if (mapped.startsWith('LVM-')) return `LVM volume ${label}`;
    return mapped.startsWith('CRYPT-') ? `encrypted volume ${label}` : `mapped device ${label}`;
  }
  const level = await blockAttribute(host, holder, 'md/level');
  if (level !== undefined) return `RAID array, ${level},`;
  return holder.startsWith('loop') ? 'loop device' : 'device';
}

/** A loop device does not lock the device that it is made of, so the kernel lists no holder. */
async function loopsByBackingDevice(host: HostView): Promise<Map<string, string[]>> {
  const loops = new Map<string, string[]>();
  for (const name of await blockNames(host, 'block')) {
    const backing = name.startsWith('loop') ? await blockAttribute(host, name, 'loop/backing_file') : undefined;
    if (backing?.startsWith('/dev/') !== true) continue;
    const on = path.basename(backing);
    loops.set(on, [...(loops.get(on) ?? []), name]);
  }
  return loops;
}

function isSystemFolder(mountPoint: string): boolean {
  return mountPoint === '/' || systemFolders.some((one) => mountPoint === one || mountPoint.startsWith(`${one}/`));
}
