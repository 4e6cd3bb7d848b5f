import { stat } from 'node:fs/promises';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { type DriveLinks, readDriveLinks } from './drive-links.js';
import { describeContents, type DrivePartition, readPartitions } from './drive-partitions.js';
import { findDrivePlace } from './drive-place.js';
import { type DriveRefusal, refusalsFor } from './drive-refusal.js';
import { type DriveRisk, largeDriveLimit } from './drive-risks.js';
import { examineDriveElsewhere, isDriveElsewhere } from './drives-elsewhere.js';
import { findDriveUses } from './drive-uses.js';
import { fileAsDrive } from './file-as-drive.js';
import {
  blockAttribute,
  blockNames,
  formatDeviceNumber,
  type HostView,
  nameOfDevice,
  partitionNames,
  readMounts,
  thisHost,
  wholeDeviceOf,
} from './host-view.js';
import type { ProbedVolume } from './probe-volumes.js';

/** A drive that an image may be written to, and all that is known about it. */
export interface Drive extends DriveLinks {
  /** As the kernel calls it; for a file, its path. */
  readonly path: string;
  /** A regular file stands for a card: it is written like one. */
  readonly isFile: boolean;
  /** Such a file that is not there yet; it is made as large as the image. */
  readonly isNew: boolean;
  /** Bytes. */
  readonly size: number;
  /** Bytes of the smallest write. */
  readonly sectorSize: number;
  readonly model: string | undefined;
  readonly serial: string | undefined;
  /** How it is connected: `usb`, `mmc`, `sata`, `nvme`, `virtio`, `loop`. */
  readonly bus: string | undefined;
  /** The place it is plugged in, see `DrivePlace`. */
  readonly slot: string | undefined;
  readonly isReadOnly: boolean;
  readonly isRemovable: boolean;
  readonly partitions: readonly DrivePartition[];
  /** Labels, names or types of the file systems on it, in order. */
  readonly contents: readonly string[];
  /** What tells this drive from any other that may take its place under the same path. */
  readonly identity: string;
  /** Risks that the user has taken by name. */
  readonly accepted: readonly DriveRisk[];
  /** Those of them that it has. */
  readonly taken: readonly DriveRisk[];
  /** Why writing it fails before it begins, the most serious first; empty when it may be written. Without what is accepted. */
  readonly refusals: readonly DriveRefusal[];
}

/** How a drive is looked at. */
export interface ExamineOptions {
  readonly accepted?: readonly DriveRisk[];
  readonly host?: HostView;
}

/**
 * Looks at the drive with a path such as /dev/sdb or /dev/disk/by-id/…, or at a regular file. Nothing is opened. Fails for a path that does
 * not exist, and for a partition, naming its drive.
 */
export async function examineDrive(path: string, options: ExamineOptions = {}): Promise<Drive> {
  if (isDriveElsewhere(path)) return examineDriveElsewhere(path, options.accepted);
  const stats = await stat(path).catch((error: unknown) => {
    throw whileDoing(`looking at ${path}`, error, { hint: 'List the drives with: davit drives' });
  });
  if (stats.isFile()) return fileAsDrive(path, stats, options.host ?? thisHost);
  if (!stats.isBlockDevice()) {
    throw new Failure('usage', 'not-a-drive', `${path} is neither a drive nor a file`, {
      hint: 'List the drives with: davit drives',
    });
  }
  return examineBlockDevice(path, stats.rdev, options);
}

/** Looks at the whole drive with a device number, such as the one of an open descriptor. */
export async function examineBlockDevice(path: string, device: number, options: ExamineOptions = {}): Promise<Drive> {
  const { host = thisHost, accepted = [] } = options;
  const name = await nameOfDevice(host, formatDeviceNumber(device));
  if (name === undefined) throw new Failure('not-found', 'drive-not-found', `the kernel knows no drive behind ${path}`);
  const whole = await wholeDeviceOf(host, name);
  if (whole !== undefined) {
    throw new Failure('refused', 'is-partition', `${path} is a partition; an image needs the whole drive`, {
      hint: `Give the whole drive: /dev/${whole}`,
    });
  }
  const [drive] = await blockDevicesAsDrives([name], host, accepted);
  if (drive === undefined) throw new Failure('not-found', 'drive-not-found', `${path} has vanished`);
  return drive;
}

/** Puts together what is known about whole drives, given the kernel's names for them. */
export async function blockDevicesAsDrives(
  names: readonly string[],
  host: HostView,
  accepted: readonly DriveRisk[] = [],
): Promise<Drive[]> {
  const partitions = await Promise.all(names.map((name) => partitionNames(host, name)));
  const probed = await host.probe([...names, ...partitions.flat()].map((name) => `/dev/${name}`));
  const links = await readDriveLinks(host);
  const limit = largeDriveLimit();
  return Promise.all(names.map((name) => blockDeviceAsDrive(name, { host, accepted, probed, links, limit })));
}

interface Knowledge {
  readonly host: HostView;
  readonly accepted: readonly DriveRisk[];
  readonly probed: ReadonlyMap<string, ProbedVolume>;
  readonly links: (name: string) => DriveLinks;
  readonly limit: number;
}

async function blockDeviceAsDrive(name: string, { host, accepted, probed, links, limit }: Knowledge): Promise<Drive> {
  const attribute = (key: string) => blockAttribute(host, name, key);
  const path = `/dev/${name}`;
  const size = Number((await attribute('size')) ?? 0) * 512;
  const isReadOnly = (await attribute('ro')) === '1';
  const place = await findDrivePlace(host, name);
  const partitions = await readPartitions(name, host, probed, await readMounts(host));
  const uses = await findDriveUses(name, host, partitions);
  const refusals = [
    ...(await unusable(name, host, { path, size, isReadOnly })),
    ...refusalsFor({ path, size, place, partitions, uses, largeDriveLimit: limit }),
  ];
  const model = place.model ?? probed.get(path)?.model;
  const serial = place.serial ?? probed.get(path)?.serial;
  // The kernel numbers every medium it sees since Linux 5.15, so that a swapped card is told from its predecessor.
  const sequence = await attribute('diskseq');
  return {
    path,
    isFile: false,
    isNew: false,
    size,
    sectorSize: Number((await attribute('queue/logical_block_size')) ?? 512),
    model,
    serial,
    bus: place.bus,
    slot: place.slot,
    ...links(name),
    isReadOnly,
    isRemovable: place.isRemovable,
    partitions,
    contents: describeContents(partitions),
    identity: [await attribute('dev'), sequence, size, serial, model].join(' '),
    accepted,
    taken: accepted.filter((risk) => refusals.some((refusal) => refusal.risk === risk)),
    refusals: refusals.filter(({ risk }) => risk === null || !accepted.includes(risk)),
  };
}

/** Refusals of what cannot be written, whoever may use it. */
async function unusable(
  name: string,
  host: HostView,
  { path, size, isReadOnly }: Pick<Drive, 'path' | 'size' | 'isReadOnly'>,
): Promise<DriveRefusal[]> {
  const failures: Failure[] = [];
  if (size === 0) {
    failures.push(new Failure('refused', 'no-medium', `${path} holds no card or disk`, { hint: 'Insert one' }));
  }
  if (isReadOnly) {
    const hint = 'Many cards and adapters have a small switch for that';
    failures.push(new Failure('refused', 'drive-read-only', `${path} is write-protected`, { hint }));
  }
  const attribute = (key: string) => blockAttribute(host, name, key);
  const madeOf = await blockNames(host, 'class', 'block', name, 'slaves');
  if (madeOf.length > 0 || (await attribute('dm/uuid')) !== undefined || (await attribute('md/level')) !== undefined) {
    const hint = 'Pass the path of a drive; list them with: davit drives';
    const names = madeOf.length === 0 ? '' : `: ${madeOf.map((one) => `/dev/${one}`).join(', ')}`;
    failures.push(new Failure('refused', 'drive-of-drives', `${path} is made of other drives${names}`, { hint }));
  }
  return failures.map((failure) => ({ risk: null, failure }));
}
