import { readdir, readFile, readlink, realpath } from 'node:fs/promises';
import path from 'node:path';
import { systemErrorCode } from '../failure/while-doing.js';
import { type ProbedVolume, probeVolumes } from './probe-volumes.js';

/** Where a computer tells about itself; tests put other folders there. */
export interface HostView {
  readonly sysfs: string;
  readonly procfs: string;
  /** Where udev puts its links. */
  readonly devices: string;
  /** The table of file systems that are mounted at the start (fstab(5)). */
  readonly fstab: string;
  /** Looks at the content of devices, by their paths. */
  readonly probe: (paths: readonly string[]) => Promise<ReadonlyMap<string, ProbedVolume>>;
}

/** This computer. */
export const thisHost: HostView = {
  sysfs: '/sys',
  procfs: '/proc',
  devices: '/dev',
  fstab: '/etc/fstab',
  probe: probeVolumes,
};

/** One mounted file system. */
export interface Mount {
  /** `8:1`; not that of a drive for btrfs and overlays. */
  readonly deviceNumber: string;
  readonly mountPoint: string;
  readonly source: string;
}

/** A line of /etc/fstab. */
export interface FstabEntry {
  /** A path, or `UUID=…`, `LABEL=…`, `PARTUUID=…`, `PARTLABEL=…`. */
  readonly device: string;
  readonly mountPoint: string;
  readonly isSwap: boolean;
  readonly options: readonly string[];
}

/** A file of /sys about a block device, without its line end, or undefined where there is none. */
export async function blockAttribute(host: HostView, name: string, attribute: string): Promise<string | undefined> {
  return textOf(path.join(host.sysfs, 'class', 'block', name, attribute));
}

/** Names of the block devices in a folder of /sys such as `holders`, or of all whole devices. */
export async function blockNames(host: HostView, ...folder: string[]): Promise<string[]> {
  return ifThere(() => readdir(path.join(host.sysfs, ...folder)), []);
}

/** Names of a device's partitions, as the kernel knows them. */
export async function partitionNames(host: HostView, name: string): Promise<string[]> {
  const inside = await blockNames(host, 'class', 'block', name);
  const parts = await Promise.all(
    inside
      .filter((one) => one.startsWith(name))
      .map(async (one) => ((await blockAttribute(host, one, 'partition')) === undefined ? [] : [one])),
  );
  return parts.flat();
}

/** The kernel's name of the whole device that a partition belongs to, or undefined for a device that is no partition. */
export async function wholeDeviceOf(host: HostView, name: string): Promise<string | undefined> {
  if ((await blockAttribute(host, name, 'partition')) === undefined) return undefined;
  return path.basename(path.dirname(await realpath(path.join(host.sysfs, 'class', 'block', name))));
}

/** The kernel's name of the device with a number (`8:16` is `sdb`), or undefined. */
export async function nameOfDevice(host: HostView, deviceNumber: string): Promise<string | undefined> {
  const link = await ifThere(() => readlink(path.join(host.sysfs, 'dev', 'block', deviceNumber)), undefined);
  return link === undefined ? undefined : path.basename(link);
}

/** Everything that is mounted, as this process and as the first process of the computer see it (proc(5), mountinfo). */
export async function readMounts(host: HostView): Promise<Mount[]> {
  const views = await Promise.all(
    // The first process may have more mounted than a process in its own mount namespace; only root may look.
    ['self', '1'].map((process) => textOf(path.join(host.procfs, process, 'mountinfo'))),
  );
  const lines = new Set(views.flatMap((view) => view?.split('\n') ?? []));
  return [...lines].flatMap((line) => {
    const words = line.split(' ');
    const separator = words.indexOf('-');
    const [, , deviceNumber, , mountPoint] = words;
    if (deviceNumber === undefined || mountPoint === undefined || separator < 0) return [];
    return { deviceNumber, mountPoint: unescape(mountPoint), source: unescape(words[separator + 2] ?? '') };
  });
}

/** Paths of the devices that are swapped to; swap files are found by the mount they lie on. */
export async function readSwapDevices(host: HostView): Promise<string[]> {
  const [, ...lines] = (await textOf(path.join(host.procfs, 'swaps')))?.split('\n') ?? [];
  return lines.flatMap((line) => {
    const [file = '', type] = line.split(/\s+/);
    return type === 'partition' ? unescape(file) : [];
  });
}

/** What the computer mounts and swaps to when it starts. */
export async function readFstab(host: HostView): Promise<FstabEntry[]> {
  const lines = (await textOf(host.fstab))?.split('\n') ?? [];
  return lines.flatMap((line) => {
    const [device = '', mountPoint, type, options = ''] = line.trim().split(/\s+/).map(unescape);
    if (device.startsWith('#') || mountPoint === undefined || type === undefined) return [];
    return { device: device.replaceAll('"', ''), mountPoint, isSwap: type === 'swap', options: options.split(',') };
  });
}

/** `major:minor` of a device number as `stat` gives it (the layout of glibc's gnu_dev_major and gnu_dev_minor). */
export function formatDeviceNumber(device: number): string {
  const major = Math.floor(device / 256) % 4096;
  const minor = (device % 256) + Math.floor(device / 2 ** 20) * 256;
  return `${major}:${minor}`;
}

/** Spaces and other characters are written as octal numbers there. */
function unescape(word: string): string {
  return word.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** A file of /sys or /proc without its line end, or undefined where there is none. */
export async function textOf(file: string): Promise<string | undefined> {
  const text = await ifThere(() => readFile(file, 'utf8'), undefined);
  return text?.trimEnd();
}

/** What a look into /sys or /proc gives, or a fallback where the file is not there, vanishes, or may not be read. */
async function ifThere<T>(look: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await look();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ENODEV', 'ENXIO', 'EACCES', 'EPERM', 'EINVAL'].includes(systemErrorCode(error) ?? '')) {
      return otherwise;
    }
    throw error;
  }
}
