import { whileDoing } from '../failure/while-doing.js';
import { runsWithData } from '../image/copy-image.js';
import { layChangesOver } from '../image/overlay.js';
import { DraftFile } from '../platform/draft-file.js';
import type { ProgressListener } from '../platform/progress.js';
import { windowsOfFile } from './image-windows.js';
import { learnDrive } from './learn-drive.js';
import type { ReadDrivePlan } from './plan-read-drive.js';
import { SlotPool } from './slot-pool.js';
import { SparseDigest } from './sparse-digest.js';
import { StepMeter } from './step-meter.js';

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

/** How a drive is read. */
export interface ReadDriveOptions {
  /** Whether the SHA-256 of the image is wanted. */
  readonly checksum: boolean;
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

const windowSize = 2 * 1024 * 1024;
const windowCount = 6;

/** Reads a drive into a sparse file that gets its name only when it is complete. */
export async function readDrive(plan: ReadDrivePlan, options: ReadDriveOptions): Promise<ReadDriveResult> {
  const startedAt = performance.now();
  const { drive, everything, bytesToRead } = plan;
  const { signal, progress } = options;
  const { reader, size, map, changes } = await learnDrive(drive, everything, signal);
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
      const file = { size, readInto: (target: Buffer, offset: number) => reader.readInto(target, offset) };
      for await (const window of windowsOfFile(file, { pool, checks: [], wantedWithin })) {
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
