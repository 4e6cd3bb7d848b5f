import { blockAttribute, blockNames, type HostView, type Mount, partitionNames } from './host-view.js';
import type { ProbedVolume } from './probe-volumes.js';

/** A partition of a drive, or the whole drive where a file system lies on it without a partition table. */
export interface DrivePartition {
  readonly path: string;
  /** As the partition table numbers it; null for the whole drive. */
  readonly number: number | null;
  /** Bytes. */
  readonly size: number;
  /** As blkid calls it: `ext4`, `vfat`, `crypto_LUKS`; null where nothing is known. */
  readonly fileSystem: string | null;
  /** Of the file system. */
  readonly label: string | null;
  readonly uuid: string | null;
  /** Of the partition, in a GUID partition table. */
  readonly name: string | null;
  readonly partitionUuid: string | null;
  readonly mountPoints: readonly string[];
  /** Kernel names of the devices that are made of it. */
  readonly holders: readonly string[];
}

/** Puts together what is known of the partitions of a drive. */
export async function readPartitions(
  drive: string,
  host: HostView,
  probed: ReadonlyMap<string, ProbedVolume>,
  mounts: readonly Mount[],
): Promise<DrivePartition[]> {
  const names = await partitionNames(host, drive);
  const read = (name: string) => readPartition(name, host, probed.get(`/dev/${name}`) ?? {}, mounts);
  const partitions = await Promise.all(names.map(read));
  const whole = await read(drive);
  const holdsFileSystem = whole.fileSystem !== null || whole.mountPoints.length > 0;
  return [...(holdsFileSystem ? [whole] : []), ...partitions.sort((a, b) => (a.number ?? 0) - (b.number ?? 0))];
}

async function readPartition(
  name: string,
  host: HostView,
  probed: ProbedVolume,
  mounts: readonly Mount[],
): Promise<DrivePartition> {
  const path = `/dev/${name}`;
  const deviceNumber = await blockAttribute(host, name, 'dev');
  const mounted = mounts.filter((mount) => mount.deviceNumber === deviceNumber || mount.source === path);
  const number = await blockAttribute(host, name, 'partition');
  return {
    path,
    number: number === undefined ? null : Number(number),
    size: Number((await blockAttribute(host, name, 'size')) ?? 0) * 512,
    fileSystem: probed.fileSystem ?? null,
    label: probed.label ?? null,
    uuid: probed.uuid ?? null,
    name: probed.partitionName ?? null,
    partitionUuid: probed.partitionUuid ?? null,
    mountPoints: [...new Set(mounted.map((mount) => mount.mountPoint))],
    holders: await blockNames(host, 'class', 'block', name, 'holders'),
  };
}

/** What a person would call what is on a drive: labels of file systems, else names of partitions, else kinds of file systems. */
export function describeContents(partitions: readonly DrivePartition[]): string[] {
  return partitions.flatMap(({ label, name, fileSystem }) => label ?? name ?? fileSystem ?? []);
}
