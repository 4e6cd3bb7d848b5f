import { stat } from 'node:fs/promises';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { describeBlockDevices, type DriveDescription } from './describe-block-devices.js';
import { refusalsFor } from './drive-refusal.js';
import { findDriveUses } from './drive-uses.js';
import {
  blockAttribute,
  formatDeviceNumber,
  type HostView,
  nameOfDevice,
  thisHost,
  wholeDeviceOf,
} from './host-view.js';

/** A drive that an image may be written to, and all that is known about it. */
export interface Drive extends DriveDescription {
  /** As the kernel calls it; for a file, its path. */
  readonly path: string;
  /** A regular file stands for a card: it is written like one. */
  readonly isFile: boolean;
  /** Bytes. */
  readonly size: number;
  /** Bytes of the smallest write. */
  readonly sectorSize: number;
  readonly isReadOnly: boolean;
  readonly isRemovable: boolean;
  /** What tells this drive from any other that may take its place under the same path. */
  readonly identity: string;
  /** The failures that writing it ends with before it begins, the most serious first; empty when it may be written. */
  readonly refusals: readonly Failure[];
}

/**
 * Looks at the drive with a path such as /dev/sdb or /dev/disk/by-id/…, or at a regular file. Nothing is opened. Fails for a path that does
 * not exist, and for a partition, naming its drive.
 */
export async function examineDrive(path: string, host: HostView = thisHost): Promise<Drive> {
  const stats = await stat(path).catch((error: unknown) => {
    throw whileDoing(`looking at ${path}`, error, { hint: 'List the drives with: davit drives' });
  });
  if (stats.isFile()) return fileAsDrive(path, stats.size, `${stats.dev}:${stats.ino}`);
  if (!stats.isBlockDevice()) {
    throw new Failure('usage', 'not-a-drive', `${path} is neither a drive nor a file`, {
      hint: 'List the drives with: davit drives',
    });
  }
  if (process.platform !== 'linux') throw platformUnsupported();
  const name = await nameOfDevice(host, formatDeviceNumber(stats.rdev));
  if (name === undefined) throw new Failure('not-found', 'drive-not-found', `the kernel knows no drive behind ${path}`);
  const whole = await wholeDeviceOf(host, name);
  if (whole !== undefined) {
    throw new Failure('refused', 'is-partition', `${path} is a partition; an image needs the whole drive`, {
      hint: `Pass --drive /dev/${whole}`,
    });
  }
  const [description] = await describeBlockDevices(`/dev/${name}`);
  return blockDeviceAsDrive(name, description?.description ?? noDescription, host);
}

/** The failure that writing to a drive ends with where that is not possible yet; files can be written everywhere. */
export function platformUnsupported(): Failure {
  return new Failure('refused', 'platform-unsupported', `drives cannot be written on ${process.platform} yet`, {
    hint: 'Flash on Linux, or write to a file: --drive card.img',
  });
}

/** What is known of a drive about which nothing was told. */
export const noDescription: DriveDescription = {
  model: undefined,
  serial: undefined,
  bus: undefined,
  isHotplug: false,
  contents: [],
};

/** Puts together what the kernel knows about a whole drive. */
export async function blockDeviceAsDrive(name: string, description: DriveDescription, host: HostView): Promise<Drive> {
  const attribute = (key: string) => blockAttribute(host, name, key);
  const path = `/dev/${name}`;
  const size = Number(await attribute('size')) * 512;
  const isReadOnly = (await attribute('ro')) === '1';
  const refusals = refusalsFor(path, await findDriveUses(name, host));
  if (size === 0) {
    refusals.push(new Failure('refused', 'no-medium', `${path} holds no card or disk`, { hint: 'Insert one' }));
  }
  if (isReadOnly) {
    const hint = 'Many cards and adapters have a small switch for that';
    refusals.push(new Failure('refused', 'drive-read-only', `${path} is write-protected`, { hint }));
  }
  if ((await attribute('dm/uuid')) !== undefined || (await attribute('md/level')) !== undefined) {
    const hint = 'Pass the path of a drive; list them with: davit drives';
    refusals.push(new Failure('refused', 'drive-of-drives', `${path} is made of other drives`, { hint }));
  }
  const number = await attribute('dev');
  // The kernel numbers every medium it sees since Linux 5.15, so that a swapped card is told from its predecessor.
  const sequence = await attribute('diskseq');
  return {
    ...description,
    path,
    isFile: false,
    size,
    sectorSize: Number((await attribute('queue/logical_block_size')) ?? 512),
    isReadOnly,
    isRemovable: description.isHotplug || (await attribute('removable')) === '1',
    identity: [number, sequence, size, description.serial, description.model].join(' '),
    refusals,
  };
}

function fileAsDrive(path: string, size: number, identity: string): Drive {
  const isEmpty = size === 0;
  return {
    ...noDescription,
    path,
    isFile: true,
    size,
    // Direct I/O on a file works in units of the drive below it, which are 4096 bytes at most.
    sectorSize: size % 4096 === 0 ? 4096 : 1,
    isReadOnly: false,
    isRemovable: false,
    identity: `${identity} ${size}`,
    refusals: isEmpty ? [emptyFile(path)] : [],
  };
}

function emptyFile(path: string): Failure {
  return new Failure('refused', 'no-medium', `the file ${path} is empty`, {
    hint: `Give it the size of a card: truncate -s 8G ${path}`,
  });
}
