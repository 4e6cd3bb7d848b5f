import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { whileDoing } from '../failure/while-doing.js';
import type { Drive } from './drive.js';
import { blockAttribute, thisHost } from './host-view.js';

/** What a drive is known again by. */
export type KnownDrive = Pick<Drive, 'path' | 'isFile' | 'serial' | 'model' | 'size' | 'bus'>;

/** A file name for what is remembered of a drive. The drive keeps it when it is plugged in anew, perhaps under another path. */
export async function driveKey(drive: KnownDrive): Promise<string> {
  return createHash('sha256')
    .update(await lastingFacts(drive))
    .digest('hex')
    .slice(0, 32);
}

async function lastingFacts(drive: KnownDrive): Promise<string> {
  const { path: drivePath, isFile, serial, model, size, bus } = drive;
  if (isFile) {
    const { dev, ino } = await stat(drivePath).catch((error: unknown) => {
      throw whileDoing(`looking at ${drivePath}`, error);
    });
    return JSON.stringify([dev, ino, size]);
  }
  const backingFile = await blockAttribute(thisHost, path.basename(drivePath), 'loop/backing_file');
  // What has no number of its own is only told apart by where it is.
  return JSON.stringify([bus, model, size, serial ?? backingFile ?? drivePath]);
}
