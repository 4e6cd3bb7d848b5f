import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Failure } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { commandLineAsRoot } from '../platform/environment.js';
import type { Drive } from './drive.js';
import { examineDrive } from './drive.js';
import { requireFlashable } from './drive-refusal.js';

/** A drive opened for reading and writing by nobody else. */
export interface OpenDrive {
  readonly handle: FileHandle;
  /** Whether reads and writes go past the page cache, and so need aligned memory, offsets and lengths. */
  readonly isDirect: boolean;
}

/**
 * Opens a drive so that the kernel refuses if anything on it is mounted or in use, and makes sure that it is still the drive that was
 * looked at. The caller closes it.
 */
export async function openDrive(drive: Drive): Promise<OpenDrive> {
  const opened = await openDirect(drive);
  try {
    const now = await examineDrive(drive.path);
    if (now.identity !== drive.identity) {
      throw new Failure('refused', 'drive-changed', `${drive.path} is not the drive it was: it was swapped or pulled`, {
        hint: 'Look again with: davit drives',
      });
    }
    requireFlashable(now);
    return opened;
  } catch (error) {
    await opened.handle.close();
    throw error;
  }
}

async function openDirect(drive: Drive): Promise<OpenDrive> {
  // Without O_CREAT, Linux gives O_EXCL on a block device the meaning: only if nothing else holds it.
  const flags = constants.O_RDWR | (drive.isFile ? 0 : constants.O_EXCL);
  // A file whose size is odd cannot be written to its last byte past the cache, and some file systems know no direct I/O.
  const wantsDirect = process.platform === 'linux' && drive.sectorSize > 1;
  try {
    if (wantsDirect) return { handle: await open(drive.path, flags | constants.O_DIRECT), isDirect: true };
  } catch (error) {
    if (systemErrorCode(error) !== 'EINVAL') throw await explain(error, drive);
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
    return whileDoing(`opening ${drive.path}`, error, { hint: `Run it as root: ${commandLineAsRoot()}` });
  }
  if (code === 'EBUSY') {
    // It was not in use when it was looked at, so who uses it has only just come.
    requireFlashable(await examineDrive(drive.path));
    return new Failure('refused', 'drive-in-use', `${drive.path} is in use by a program or another system`, {
      hint: `Find out by what: sudo fuser -v ${drive.path}`,
      cause: error,
    });
  }
  return whileDoing(`opening ${drive.path}`, error);
}
