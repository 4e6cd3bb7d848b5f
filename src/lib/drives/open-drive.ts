import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { Failure } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { commandLineAsRoot } from '../platform/environment.js';
import { lockDescriptor } from '../platform/lock-descriptor.js';
import { type Drive, examineBlockDevice, examineDrive } from './drive.js';
import { isDriveElsewhere, openDriveElsewhere } from './drives-elsewhere.js';
import { findHolders } from './drive-holders.js';
import { requireFlashable } from './drive-refusal.js';
import { fileAsDrive } from './file-as-drive.js';
import { thisHost } from './host-view.js';
import { unmountDrive } from './unmount-drive.js';

/** How long udev may take to look at a drive, which it has locked meanwhile. */
const udevMs = 3000;

/** A drive opened for reading and writing by nobody else. */
export interface OpenDrive {
  readonly handle: FileHandle;
  /** Whether reads and writes go past the page cache, and so need aligned memory, offsets and lengths. */
  readonly isDirect: boolean;
}

/** How a drive is opened. */
export interface OpenDriveOptions {
  /** Past the page cache where that is possible, which is the default. Elsewhere than on Linux it is always so. */
  readonly direct?: boolean;
}

/**
 * Opens a drive so that the kernel refuses if anything on it is mounted or in use, and makes sure that it is still the drive that was
 * looked at. What is mounted from it is unmounted first if that was accepted. The caller closes it.
 */
export async function openDrive(drive: Drive, { direct = true }: OpenDriveOptions = {}): Promise<OpenDrive> {
  if (drive.isNew) return createFile(drive);
  if (isDriveElsewhere(drive.path)) {
    requireSame(drive, await examineDrive(drive.path, drive));
    return openDriveElsewhere(drive);
  }
  if (drive.accepted.includes('mounted')) {
    requireSame(drive, await examineDrive(drive.path, drive));
    await unmountDrive(drive);
  }
  const opened = await openExclusively(drive, direct);
  try {
    requireSame(drive, await examineOpened(drive, opened));
    if (!(await lockDescriptor(opened.handle.fd, drive.isFile ? 0 : udevMs))) throw await inUse(drive);
    return opened;
  } catch (error) {
    await opened.handle.close();
    throw error;
  }
}

/** Makes the file that stands for a card. It takes no room before it is written. */
async function createFile(drive: Drive): Promise<OpenDrive> {
  const opened = await openExclusively(drive, true);
  try {
    await opened.handle.truncate(drive.size);
    await lockDescriptor(opened.handle.fd);
    return opened;
  } catch (error) {
    await opened.handle.close();
    await rm(drive.path);
    throw whileDoing(`creating ${drive.path}`, error);
  }
}

function requireSame(drive: Drive, now: Drive): void {
  if (now.identity !== drive.identity) {
    throw new Failure('refused', 'drive-changed', `${drive.path} is not the drive it was: it was swapped or pulled`, {
      hint: 'Look again with: davit drives',
    });
  }
  requireFlashable(now);
}

/** Looks at what has been opened, which is not what has the path now if that was swapped in between. */
async function examineOpened({ path, isFile, accepted }: Drive, { handle }: OpenDrive): Promise<Drive> {
  const stats = await handle.stat();
  if (isFile) return fileAsDrive(path, stats, thisHost);
  return examineBlockDevice(path, stats.rdev, { accepted: accepted.filter((risk) => risk !== 'mounted') });
}

async function openExclusively(drive: Drive, direct: boolean): Promise<OpenDrive> {
  // Without O_CREAT, Linux gives O_EXCL on a block device the meaning: only if nothing else holds it.
  const mode = drive.isNew ? constants.O_CREAT | constants.O_EXCL : drive.isFile ? 0 : constants.O_EXCL;
  const flags = constants.O_RDWR | mode;
  // A file whose size is odd cannot be written to its last byte past the cache, and some file systems know no direct I/O.
  const wantsDirect = direct && process.platform === 'linux' && drive.sectorSize > 1;
  try {
    if (wantsDirect) return { handle: await open(drive.path, flags | constants.O_DIRECT), isDirect: true };
  } catch (error) {
    if (systemErrorCode(error) !== 'EINVAL') throw await explain(error, drive);
    // The file may have been made before its file system said that it knows no direct I/O.
    if (drive.isNew) await rm(drive.path, { force: true });
  }
  try {
    return { handle: await open(drive.path, flags), isDirect: false };
  } catch (error) {
    throw await explain(error, drive);
  }
}

async function explain(error: unknown, drive: Drive): Promise<unknown> {
  const code = systemErrorCode(error);
  if (code === 'EACCES' || code === 'EPERM') {
    const doing = `${drive.isNew ? 'creating' : 'opening'} ${drive.path}`;
    return whileDoing(doing, error, { hint: `Run it as root: ${commandLineAsRoot()}` });
  }
  if (code === 'EBUSY') {
    // It was not in use when it was looked at, so who uses it has only just come.
    requireFlashable(await examineDrive(drive.path, drive));
    return inUse(drive, error);
  }
  return whileDoing(`${drive.isNew ? 'creating' : 'opening'} ${drive.path}`, error);
}

async function inUse(drive: Drive, cause?: unknown): Promise<Failure> {
  const holders = await findHolders(drive.path);
  const who = holders.length > 0 ? holders.join(', ') : 'a program or another system';
  return new Failure('refused', 'drive-in-use', `${drive.path} is in use by ${who}`, {
    hint: holders.length > 0 ? 'Wait until it is done, or end it' : `Find out by what: sudo fuser -v ${drive.path}`,
    cause,
  });
}
