import { crc32 } from 'node:zlib';
import type { ByteRange } from '../image/partition-table.js';
import type { ImageSource } from '../image/source.js';
import type { DriveTask } from './drive-task.js';
import type { WrittenRun } from './drive-thread.js';
import { tableSize, tailStart } from './drive-writer.js';
import {
  type ImageWindow,
  requireWholeImage,
  type WindowOptions,
  windowsOfFile,
  windowsOfStream,
} from './image-windows.js';
import type { FlashPlan } from './plan-flash.js';
import type { WriteEstimate } from './write-estimate.js';

/**
 * Reads an image once, gives it to all drives that work, and tells them when it is complete. Gives the size of the image, in bytes. Fails
 * when the image is bad.
 */
export async function readImage(
  plan: FlashPlan,
  source: ImageSource,
  tasks: readonly DriveTask[],
  means: Pick<WindowOptions, 'map' | 'pool' | 'checks' | 'changes'> & { readonly estimate: WriteEstimate },
): Promise<number> {
  const sectorSize = Math.max(...plan.drives.map((drive) => drive.sectorSize));
  const options = { ...means, everything: plan.everything, sectorSize };
  const cuts = [tableSize, ...plan.drives.map(tailStart)].sort((a, b) => a - b);
  const windows = source.reader ? windowsOfFile(source.reader, options) : windowsOfStream(source.stream, options);
  try {
    for await (const window of windows) {
      const runs = sumRuns(window, cuts, plan.verify);
      for (const { start, size } of runs) if (start >= tableSize) means.estimate.add(size);
      for (const task of tasks) task.deliver(window, runs);
      window.slot.letGo();
      if (tasks.every((task) => task.failure !== undefined)) return means.map.bytesPassed;
    }
  } catch (error) {
    // A file that ends too early was shortened, which says more.
    await source.requireUnchanged();
    throw error;
  }
  const size = source.reader?.size ?? means.map.bytesPassed;
  await source.requireUnchanged();
  for (const check of means.checks) check.finish(size);
  if (!plan.everything) requireWholeImage(source.name, means.map, size);
  for (const task of tasks) task.complete();
  return size;
}

/** The runs of a window, with checksums if they are going to be needed. No run lies across a cut. */
function sumRuns(window: ImageWindow, cuts: readonly number[], isToBeVerified: boolean): WrittenRun[] {
  return window.runs
    .flatMap((run) => cutRun(run, cuts))
    .map((run) => ({ ...run, checksum: isToBeVerified ? crc32(window.bytesOf(run)) : 0 }));
}

function cutRun({ start, size }: ByteRange, cuts: readonly number[]): ByteRange[] {
  const end = start + size;
  const starts = [start, ...new Set(cuts.filter((cut) => cut > start && cut < end))];
  return starts.map((from, index) => ({ start: from, size: (starts[index + 1] ?? end) - from }));
}
