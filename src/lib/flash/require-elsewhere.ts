import { realpath, stat } from 'node:fs/promises';
import type { Drive } from '../drives/drive.js';
import { blockAttribute, formatDeviceNumber, nameOfDevice, thisHost, wholeDeviceOf } from '../drives/host-view.js';
import { Failure } from '../failure/failure.js';
import type { OriginFile } from '../image/image-origin.js';

/** Fails with `refused` when an image lies on the drive that it is to be written to, is that drive, or is what lies behind it. */
export async function requireElsewhere(file: OriginFile, drive: Drive): Promise<void> {
  if (drive.isNew) return;
  const isSame = drive.isFile ? await isSameFile(drive, file) : await isOn(drive, file);
  if (!isSame) return;
  throw new Failure(
    'refused',
    'image-on-drive',
    `the image ${file.path} lies on ${drive.path}, which would be overwritten`,
    { hint: 'Copy the image to another drive first' },
  );
}

async function isSameFile(drive: Drive, file: OriginFile): Promise<boolean> {
  const { dev, ino } = await stat(drive.path);
  return dev === file.device && ino === file.inode;
}

async function isOn(drive: Drive, file: OriginFile): Promise<boolean> {
  for (const number of [file.device, file.isDevice ?? file.device]) if (await holdsDevice(drive, number)) return true;
  const behindLoop = await blockAttribute(thisHost, drive.path.replace('/dev/', ''), 'loop/backing_file');
  return behindLoop !== undefined && behindLoop === (await realpath(file.path));
}

/** Whether a device, such as one that `stat` says a file is on, is a drive or a partition of it. */
export async function holdsDevice(drive: Drive, device: number): Promise<boolean> {
  const name = await nameOfDevice(thisHost, formatDeviceNumber(device));
  if (name !== undefined && `/dev/${(await wholeDeviceOf(thisHost, name)) ?? name}` === drive.path) return true;
  // Elsewhere than on Linux, and for btrfs, such a number is not that of a drive, but still that of where it is mounted.
  const mounted = drive.partitions.flatMap(({ mountPoints }) => mountPoints);
  const numbers = await Promise.all(
    mounted.map((one) =>
      stat(one).then(
        ({ dev }) => dev,
        () => undefined,
      ),
    ),
  );
  return numbers.includes(device);
}
