import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { type Drive, type ExamineOptions, examineDrive } from './drive.js';
import { examineDriveElsewhere, isDriveElsewhere } from './drives-elsewhere.js';
import { newFileAsDrive } from './file-as-drive.js';
import { thisHost } from './host-view.js';
import { listDrives } from './list-drives.js';

/** How a file is called that stands for a card; anything else may be a mistyped name of a drive. */
const fileName = /\.(img|image|raw|bin|wic|disk|card|sdcard)$/i;

/**
 * Finds a drive by what a user calls it: a path, a name in /dev/disk/by-id or by-path, a slot, a serial number, a kernel name; or a file
 * that stands for a card, which need not be there yet. Fails with `usage` when several drives go by one name.
 */
export async function findDrive(called: string, options: ExamineOptions = {}): Promise<Drive> {
  if (isDriveElsewhere(called)) return examineDriveElsewhere(called, options.accepted);
  const isThere = await stat(called).then(
    () => true,
    () => false,
  );
  if (isThere) return examineDrive(called, options);
  if (called.includes('/'))
    return called.endsWith('/') || (await isBelowDevices(called)) ? examineDrive(called) : newFileAsDrive(called);
  const drives = await listDrives(options.host ?? thisHost, options.accepted);
  const lowerCase = called.toLowerCase();
  const matching = drives.filter(
    ({ path: device, byId, byPath, slot, serial }) =>
      [...byId, ...byPath, slot, path.basename(device)].includes(called) || serial?.toLowerCase() === lowerCase,
  );
  const [drive, ...others] = matching;
  if (others.length > 0) {
    const candidates = matching
      .map((one) => (one.slot === undefined ? one.path : `${one.path} in ${one.slot}`))
      .join(', ');
    throw new Failure('usage', 'drive-ambiguous', `${called} may be any of several drives: ${candidates}`, {
      hint: 'Give the path or the slot of one',
    });
  }
  if (drive !== undefined) return drive;
  if (fileName.test(called) && !(await isBelowDevices(called))) return newFileAsDrive(called);
  throw new Failure('not-found', 'drive-not-found', `no drive has the name, slot or serial number ${called}`, {
    hint: 'List the drives with: davit drives. For a file, give a path such as ./card.img',
  });
}

/** Whether something would be made in /dev, where a file takes memory and is in the way of a drive. */
async function isBelowDevices(called: string): Promise<boolean> {
  const folder = path.resolve(path.dirname(called));
  const real = await realpath(folder).catch(() => folder);
  return `${real}/`.startsWith('/dev/');
}
