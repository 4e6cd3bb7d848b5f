import { realpath } from 'node:fs/promises';
import path from 'node:path';
import type { DrivePartition } from './drive-partitions.js';
import {
  blockAttribute,
  blockNames,
  type FstabEntry,
  type HostView,
  partitionNames,
  readFstab,
  readMounts,
  readSwapDevices,
} from './host-view.js';

/** Something that uses a drive, or will want it back, so that it must not be written. */
export interface DriveUse {
  /** `member` is a part of RAID, LVM, ZFS or the like, whether or not that is running; `planned` is mounted when the computer starts. */
  readonly kind: 'system' | 'swap' | 'held' | 'member' | 'mounted' | 'planned';
  /** Who uses which part: "/dev/sda1 is mounted at /boot". */
  readonly text: string;
  /** The part of the drive. */
  readonly device: string;
  readonly mountPoint?: string;
}

/** Kinds of uses, the most serious first. */
const order: readonly DriveUse['kind'][] = ['system', 'swap', 'held', 'member', 'mounted', 'planned'];

/** Folders whose loss the running system would not survive. */
const systemFolders = ['/boot', '/efi', '/usr', '/etc', '/var', '/home', '/opt', '/root', '/nix'];

/** What blkid calls the parts of things that are made of several drives. */
const memberOfSomething = /_member$|^(bcache|drbd|ceph_bluestore|stratis)/i;

/**
 * Everything that uses a drive or any part of it, also through RAID, LVM, encryption, btrfs and loop devices; the most serious first.
 *
 * @param name the kernel's name of the whole drive: "sdb"
 * @param partitions what is known of its content
 */
export async function findDriveUses(
  name: string,
  host: HostView,
  partitions: readonly DrivePartition[] = [],
): Promise<DriveUse[]> {
  const parts = await partsOf(name, host);
  const mounts = await readMounts(host);
  const swaps = await Promise.all((await readSwapDevices(host)).map(kernelName));
  const volumes = await btrfsVolumes(host);
  const uses: DriveUse[] = [];
  for (const part of parts) {
    const device = `/dev/${part.name}`;
    // btrfs has device numbers of its own, but names one of its drives.
    const sources = [device, ...(volumes.get(part.name) ?? [])];
    for (const { deviceNumber, mountPoint, source } of mounts) {
      if (deviceNumber !== part.deviceNumber && !sources.includes(source)) continue;
      const kind = isSystemFolder(mountPoint) ? 'system' : 'mounted';
      uses.push({ kind, device, text: `${describe(part)} is mounted at ${mountPoint}`, mountPoint });
    }
    if (swaps.includes(part.name)) uses.push({ kind: 'swap', device, text: `${describe(part)} is used as swap` });
    if (part.heldThrough !== undefined)
      uses.push({ kind: 'held', device, text: `/dev/${name} is in use by ${describe(part)}` });
    else if (sources.length > 2) {
      uses.push({ kind: 'held', device, text: `${device} is in use by btrfs on ${sources.slice(1).join(', ')}` });
    }
  }
  for (const { path: device, fileSystem } of partitions) {
    if (fileSystem === null || !memberOfSomething.test(fileSystem)) continue;
    uses.push({ kind: 'member', device, text: `${device} is part of something larger (${fileSystem})` });
  }
  uses.push(...(await plannedUses(partitions, host, new Set(mounts.map((mount) => mount.mountPoint)))));
  const unique = new Map(uses.map((use) => [use.text, use]));
  return [...unique.values()].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
}

/** What /etc/fstab will want back. An entry whose folder is mounted already is that of another drive, perhaps with the same label. */
async function plannedUses(
  partitions: readonly DrivePartition[],
  host: HostView,
  mounted: ReadonlySet<string>,
): Promise<DriveUse[]> {
  const uses: DriveUse[] = [];
  for (const { device: named, mountPoint, isSwap, options } of await readFstab(host)) {
    if (mounted.has(mountPoint) || options.includes('noauto')) continue;
    const name = named.startsWith('/dev/') ? await kernelName(named) : undefined;
    for (const partition of partitions) {
      const { path: device } = partition;
      if (name === undefined ? !isNamed(partition, named) : device !== `/dev/${name}`) continue;
      if (isSwap) uses.push({ kind: 'swap', device, text: `${device} is swap of this computer (/etc/fstab)` });
      else {
        const kind = isSystemFolder(mountPoint) ? 'system' : 'planned';
        uses.push({ kind, device, text: `${device} belongs at ${mountPoint} (/etc/fstab)` });
      }
    }
  }
  return uses;
}

function isNamed(partition: DrivePartition, device: FstabEntry['device']): boolean {
  const at = device.indexOf('=');
  const value = device.slice(at + 1);
  switch (device.slice(0, at)) {
    case 'UUID':
      return partition.uuid?.toLowerCase() === value.toLowerCase();
    case 'PARTUUID':
      return partition.partitionUuid?.toLowerCase() === value.toLowerCase();
    case 'LABEL':
      return partition.label === value;
    case 'PARTLABEL':
      return partition.name === value;
    default:
      return false;
  }
}

/** The kernel's name of a device that may be given by a link. */
async function kernelName(device: string): Promise<string> {
  return path.basename(await realpath(device).catch(() => device));
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
  for (const { name, backingFile } of await loopDevices(host)) {
    if (!backingFile.startsWith('/dev/')) continue;
    const on = path.basename(backingFile);
    loops.set(on, [...(loops.get(on) ?? []), name]);
  }
  return loops;
}

/** All loop devices that something is attached to, and what. */
export async function loopDevices(host: HostView): Promise<{ readonly name: string; readonly backingFile: string }[]> {
  const names = (await blockNames(host, 'block')).filter((name) => name.startsWith('loop'));
  const found = await Promise.all(
    names.map(async (name) => ({ name, backingFile: await blockAttribute(host, name, 'loop/backing_file') })),
  );
  return found.flatMap(({ name, backingFile }) => (backingFile === undefined ? [] : { name, backingFile }));
}

/** The paths of all devices of the mounted btrfs file system that a device belongs to, by its kernel name. */
async function btrfsVolumes(host: HostView): Promise<Map<string, string[]>> {
  const volumes = new Map<string, string[]>();
  for (const uuid of await blockNames(host, 'fs', 'btrfs')) {
    const names = await blockNames(host, 'fs', 'btrfs', uuid, 'devices');
    for (const name of names)
      volumes.set(
        name,
        names.map((one) => `/dev/${one}`),
      );
  }
  return volumes;
}

function isSystemFolder(mountPoint: string): boolean {
  return mountPoint === '/' || systemFolders.some((one) => mountPoint === one || mountPoint.startsWith(`${one}/`));
}
