import { stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import type { Drive } from '../drives/drive.js';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { openBlockFile } from '../image/block-file.js';
import { BlockMap } from '../image/block-map.js';
import { runsWithData } from '../image/copy-image.js';
import { diskExtent } from '../image/disk-extent.js';
import { type ChangedRanges, layChangesOver } from '../image/overlay.js';
import { DraftFile } from '../platform/draft-file.js';
import type { ProgressListener } from '../platform/progress.js';
import { DriveReader } from './drive-reader.js';
import { learnMap, windowsOfFile } from './image-windows.js';
import { holdsDevice } from './require-elsewhere.js';
import { SlotPool } from './slot-pool.js';
import { SparseDigest } from './sparse-digest.js';
import { StepMeter } from './step-meter.js';

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
  /** Why the image may be inconsistent. */
  readonly warnings: readonly string[];
}

/** What was read of a drive. */
export interface ReadDriveResult {
  readonly drive: { readonly path: string; readonly serial: string | null; readonly size: number };
  readonly image: {
    readonly path: string;
    /** Bytes; most of them may be holes. */
    readonly size: number;
    /** SHA-256 of all of them, if it was asked for. */
    readonly sha256: string | null;
  };
  readonly bytesRead: number;
  readonly seconds: number;
}

/** What a plan is made from. */
export interface ReadDriveRequest {
  readonly drive: Drive;
  readonly image: string;
  readonly mayOverwrite: boolean;
  readonly everything: boolean;
}

/** How a drive is read. */
export interface ReadDriveOptions {
  /** Whether the SHA-256 of the image is wanted. */
  readonly checksum: boolean;
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

/** Endings of names that promise a packed file. */
const packedName = /\.(gz|xz|zst|zip|bz2|lz4)$/i;

/** Uses of a drive while which its content may change. */
const liveUses = ['system-drive', 'drive-mounted', 'drive-in-use'];

const windowSize = 2 * 1024 * 1024;
const windowCount = 6;

/**
 * Finds out what of a drive is to be read, and whether there is room for it. Fails with `refused` where there is not, or where the image would
 * lie on the drive itself.
 */
export async function planReadDrive({
  drive,
  image,
  mayOverwrite,
  everything,
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
  const { size, map } = await learnDrive(drive, everything);
  const bytesToRead = everything ? size : map.usedWithin(0, size).reduce((sum, run) => sum + run.size, 0);
  await requireFreeSpace(image, bytesToRead);
  const uses = drive.refusals.map(({ failure }) => failure).filter(({ code }) => liveUses.includes(code));
  const warnings = uses.map(({ message }) => `the image may be inconsistent: ${message}`);
  return { drive, image, mayOverwrite, everything, size, bytesToRead, warnings };
}

/** Reads a drive into a sparse file that gets its name only when it is complete. */
export async function readDrive(plan: ReadDrivePlan, options: ReadDriveOptions): Promise<ReadDriveResult> {
  const startedAt = performance.now();
  const { drive, everything, bytesToRead } = plan;
  const { signal, progress } = options;
  const { size, map, changes } = await learnDrive(drive, everything);
  const reader = await DriveReader.open(drive, size, () => map.partitions);
  try {
    // What is on a card may be secret.
    const draft = await DraftFile.begin(plan.image, { mayOverwrite: plan.mayOverwrite, mode: 0o600 });
    try {
      const digest = options.checksum ? new SparseDigest(signal) : undefined;
      const meter = new StepMeter('read', drive.path, () => bytesToRead, progress);
      const pool = new SlotPool(windowCount, windowSize, signal);
      const wantedWithin = (start: number, end: number) =>
        everything ? [{ start, size: end - start }] : map.usedWithin(start, end);
      let bytesRead = 0;
      for await (const window of windowsOfFile(reader, { pool, checks: [], wantedWithin })) {
        for (const run of wantedWithin(window.start, window.start + window.size)) {
          const bytes = window.bytesOf(run);
          layChangesOver(bytes, run.start, changes);
          await writeData(draft, bytes, run.start);
          await digest?.add(run.start, bytes);
          bytesRead += bytes.length;
          meter.add(bytes.length);
        }
        window.slot.letGo();
      }
      await draft.handle.truncate(size);
      const sha256 = (await digest?.finish(size)) ?? null;
      await draft.complete();
      meter.done();
      const seconds = (performance.now() - startedAt) / 1000;
      const source = { path: drive.path, serial: drive.serial ?? null, size: drive.size };
      return { drive: source, image: { path: plan.image, size, sha256 }, bytesRead, seconds };
    } finally {
      await draft.discard();
    }
  } finally {
    await reader.close();
  }
}

interface LearntDrive {
  readonly size: number;
  readonly map: BlockMap;
  /** What moves the copy of the partition table to the end of the image. */
  readonly changes: ChangedRanges;
}

async function learnDrive(drive: Drive, everything: boolean): Promise<LearntDrive> {
  const file = await openBlockFile(drive.path);
  try {
    const extent = everything ? { size: file.size, changes: [] } : await diskExtent(file);
    const map = new BlockMap();
    await learnMap(file, map, (bytes, offset) => {
      layChangesOver(bytes, offset, extent.changes);
    });
    const size = Math.min(file.size, Math.ceil(extent.size / drive.sectorSize) * drive.sectorSize);
    return { size, map, changes: extent.changes };
  } finally {
    await file.close();
  }
}

/** Writes what is not zeros; where nothing is written, a new file has a hole. */
async function writeData({ handle, path: file }: DraftFile, bytes: Buffer, offset: number): Promise<void> {
  try {
    for (const { start, end } of runsWithData(bytes)) {
      for (let at = start; at < end;) at += (await handle.write(bytes, at, end - at, offset + at)).bytesWritten;
    }
  } catch (error) {
    throw whileDoing(`writing ${file}`, error, { hint: 'Give a place with more room' });
  }
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
