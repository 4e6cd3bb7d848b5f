import { stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import type { Drive } from '../drives/drive.js';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { learnDrive } from './learn-drive.js';
import { holdsDevice } from './require-elsewhere.js';

/** What is to be read of a drive, and where it goes. */
export interface ReadDrivePlan {
  readonly drive: Drive;
  /** Path of the image file. */
  readonly image: string;
  readonly mayOverwrite: boolean;
  /** Whether every byte of the drive is read, not only up to its last partition and not only what is used. */
  readonly everything: boolean;
  /** Bytes that the image will have. */
  readonly size: number;
  /** Bytes that are going to be read. */
  readonly bytesToRead: number;
  /** Why the image may be inconsistent or not complete. */
  readonly warnings: readonly string[];
}

/** What a plan is made from. */
export interface ReadDriveRequest {
  readonly drive: Drive;
  readonly image: string;
  readonly mayOverwrite: boolean;
  readonly everything: boolean;
  readonly signal: AbortSignal;
}

/** Endings of names that promise a packed file. */
const packedName = /\.(gz|xz|zst|zip|bz2|lz4)$/i;

/** Uses of a drive while which its content may change. */
const liveUses = ['system-drive', 'drive-mounted', 'drive-in-use'];

/**
 * Finds out what of a drive is to be read, and whether there is room for it. Fails with `refused` where there is not, or where the image would
 * lie on the drive itself.
 */
export async function planReadDrive({
  drive,
  image,
  mayOverwrite,
  everything,
  signal,
}: ReadDriveRequest): Promise<ReadDrivePlan> {
  if (packedName.test(image)) {
    throw new Failure('usage', 'output-packed', `${image} would be an image that is not packed`, {
      hint: `Give a name that ends in .img, and pack it afterwards: zstd -T0 ${image.replace(packedName, '')}`,
    });
  }
  if (drive.isNew) {
    throw new Failure('not-found', 'drive-not-found', `${drive.path} does not exist`, {
      hint: 'List the drives with: davit drives',
    });
  }
  for (const { failure } of drive.refusals) if (failure.code === 'no-medium') throw failure;
  await requireOutputElsewhere(drive, image);
  const { reader, size, map } = await learnDrive(drive, everything, signal);
  await reader.close();
  const bytesToRead = everything ? size : map.usedWithin(0, size).reduce((sum, run) => sum + run.size, 0);
  await requireFreeSpace(image, bytesToRead);
  const uses = drive.refusals.map(({ failure }) => failure).filter(({ code }) => liveUses.includes(code));
  const warnings = uses.map(({ message }) => `the image may be inconsistent: ${message}`);
  const end = map.partitionsEnd;
  if (end > drive.size) {
    const sizes = `its partitions end at byte ${end}, it has ${drive.size} bytes`;
    warnings.push(`the image will be truncated, as what is on ${drive.path} is: ${sizes}`);
  }
  return { drive, image, mayOverwrite, everything, size, bytesToRead, warnings };
}

async function requireOutputElsewhere(drive: Drive, image: string): Promise<void> {
  const folder = path.dirname(image);
  const { dev } = await stat(folder).catch((error: unknown) => {
    throw whileDoing(`writing ${image}`, error, { hint: 'Make the folder first' });
  });
  const existing = await stat(image).catch(() => undefined);
  const source = await stat(drive.path);
  const isSource = existing?.ino === source.ino && existing.dev === source.dev;
  if (!isSource && (drive.isFile || !(await holdsDevice(drive, dev)))) return;
  throw new Failure('refused', 'output-on-drive', `${image} would lie on ${drive.path} itself`, {
    hint: 'Give a place on another drive',
  });
}

async function requireFreeSpace(image: string, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(path.dirname(image));
  const free = bavail * bsize;
  if (free >= needed) return;
  throw new Failure(
    'refused',
    'no-space',
    `there is no room for ${image}: it may need ${needed} bytes, ${free} are free`,
    {
      hint: 'Give a place with more room',
    },
  );
}
