import type { ListedDrive } from 'drivelist';
import { Failure } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { commandLineAsRoot } from '../platform/environment.js';
import type { Drive } from './drive.js';
import type { DrivePartition } from './drive-partitions.js';
import { refusalsFor } from './drive-refusal.js';
import { type DriveRisk, largeDriveLimit } from './drive-risks.js';
import type { DriveUse } from './drive-uses.js';
import type { OpenDrive } from './open-drive.js';

/** What asks the operating system for its drives: drivelist. */
type Lister = () => Promise<readonly ListedDrive[]>;

/** Lists the drives of a computer that does not run Linux, as drivelist knows them. */
export async function listDrivesElsewhere(
  accepted: readonly DriveRisk[],
  list: Lister = askDrivelist,
): Promise<Drive[]> {
  return (await list()).map((one) => driveElsewhere(one, accepted));
}

/** Whether a path is that of a drive on such a computer: `\\.\PhysicalDrive2`, `/dev/disk4`, `/dev/rdisk4`. */
export function isDriveElsewhere(path: string): boolean {
  return process.platform !== 'linux' && /^\\\\\.\\|^\/dev\//.test(path);
}

/** Looks at one drive of such a computer. */
export async function examineDriveElsewhere(path: string, accepted: readonly DriveRisk[] = []): Promise<Drive> {
  return driveElsewhere(await findListed(path, askDrivelist), accepted);
}

/** Unmounts and opens such a drive through etcher-sdk, which on Windows also takes its partition table away, by diskpart. */
export async function openDriveElsewhere(drive: Drive, list: Lister = askDrivelist): Promise<OpenDrive> {
  const { sourceDestination } = await loadEtcher();
  const listed = await findListed(drive.path, list);
  const device = new sourceDestination.BlockDevice({ drive: listed, write: true, direct: true });
  try {
    await device.open();
  } catch (error) {
    const denied = systemErrorCode(error) === 'EACCES' || systemErrorCode(error) === 'EPERM';
    const way =
      process.platform === 'win32' ? 'from a terminal opened as administrator' : `as root: ${commandLineAsRoot()}`;
    throw whileDoing(`opening ${drive.path}`, error, denied ? { hint: `Run it ${way}` } : {});
  }
  return { handle: device.fileHandle, isDirect: true };
}

async function findListed(path: string, list: Lister): Promise<ListedDrive> {
  const listed = (await list()).find((one) => one.device === path || one.raw === path);
  if (listed !== undefined) return listed;
  throw new Failure('not-found', 'drive-not-found', `there is no drive ${path}`, {
    hint: 'List the drives with: davit drives',
  });
}

function driveElsewhere(listed: ListedDrive, accepted: readonly DriveRisk[]): Drive {
  const { device: path, description: model, isReadOnly, mountpoints } = listed;
  const size = listed.size ?? 0;
  const bus = listed.busType.toLowerCase();
  const isRemovable = listed.isRemovable || listed.isUSB === true || listed.isCard === true;
  const isVirtual = listed.isVirtual === true;
  const uses = mountpoints.map(({ path: mountPoint }): DriveUse => {
    const kind = listed.isSystem ? 'system' : 'mounted';
    return { kind, device: path, text: `${path} is mounted at ${mountPoint}`, mountPoint };
  });
  if (listed.isSystem && uses.length === 0) {
    uses.push({ kind: 'system', device: path, text: 'the operating system says so' });
  }
  const place = { bus, isRemovable, isVirtual };
  const refusals = refusalsFor({ path, size, place, partitions: [], uses, largeDriveLimit: largeDriveLimit() });
  const failures: Failure[] = [];
  if (size === 0) {
    failures.push(new Failure('refused', 'no-medium', `${path} holds no card or disk`, { hint: 'Insert one' }));
  }
  if (isReadOnly) failures.push(new Failure('refused', 'drive-read-only', `${path} is write-protected`));
  if (process.platform !== 'darwin' && process.platform !== 'win32') failures.push(platformUnsupported());
  const all = [...failures.map((failure) => ({ risk: null, failure })), ...refusals];
  return {
    path,
    isFile: false,
    isNew: false,
    size,
    sectorSize: listed.logicalBlockSize,
    model,
    serial: undefined,
    bus,
    slot: undefined,
    byId: [],
    byPath: [],
    isReadOnly,
    isRemovable,
    partitions: mountpoints.map(mountedPartition),
    contents: mountpoints.flatMap((mount) => mount.label ?? []),
    identity: [path, listed.devicePath, size, model].join(' '),
    accepted,
    taken: accepted.filter((risk) => all.some((refusal) => refusal.risk === risk)),
    refusals: all.filter(({ risk }) => risk === null || !accepted.includes(risk)),
  };
}

/** What drivelist knows of a partition: only that it is mounted, where, and its label. */
function mountedPartition({ path, label }: ListedDrive['mountpoints'][number]): DrivePartition {
  const unknown = { number: null, size: 0, fileSystem: null, uuid: null, name: null, partitionUuid: null, holders: [] };
  return { ...unknown, path, label, mountPoints: [path] };
}

function platformUnsupported(): Failure {
  return new Failure('refused', 'platform-unsupported', `drives cannot be written on ${process.platform}`, {
    hint: 'Flash on Linux, macOS or Windows, or write to a file: --drive card.img',
  });
}

async function askDrivelist(): Promise<readonly ListedDrive[]> {
  const { list } = await import('drivelist').catch((error: unknown) => {
    throw new Failure('not-found', 'package-not-found', 'listing drives needs the package drivelist here', {
      hint: 'Install it: npm install -g drivelist',
      cause: error,
    });
  });
  return list();
}

async function loadEtcher() {
  try {
    return await import('etcher-sdk');
  } catch (error) {
    throw new Failure('not-found', 'package-not-found', 'writing drives needs the package etcher-sdk here', {
      hint: 'It could not be compiled, or does not run on this version of Node. Flash on Linux, or write to a file: --drive card.img',
      cause: error,
    });
  }
}
