import { crc32 } from 'node:zlib';
import type { ByteRange } from '../image/partition-table.js';
import type { ImageSource } from '../image/source.js';
import type { DriveTask } from './drive-task.js';
import { tableSize, tailStart, type WrittenRun } from './drive-writer.js';
import {
  type ImageWindow,
  requireWholeImage,
  type WindowOptions,
  windowsOfFile,
  windowsOfStream,
} from './image-windows.js';
import type { FlashPlan } from './plan-flash.js';
import { alignedBuffer, type SlotPool } from './slot-pool.js';

/** What was delivered to every drive, and what is still to be written: the bytes that hold the partition table. */
export interface WrittenImage {
  readonly size: number;
  readonly runs: readonly WrittenRun[];
  readonly head: Buffer;
}

/** Reads an image once and writes everything but its head to all drives. Fails when the image is bad, or when every drive has failed. */
export async function writeImage(
  plan: FlashPlan,
  source: ImageSource,
  tasks: readonly DriveTask[],
  means: Pick<WindowOptions, 'map' | 'pool' | 'changes' | 'signal'>,
): Promise<WrittenImage> {
  const { map, pool } = means;
  const sectorSize = Math.max(...plan.drives.map((drive) => drive.sectorSize));
  const options = { ...means, everything: plan.everything, sectorSize };
  const head = alignedBuffer(tableSize);
  const cuts = [tableSize, ...plan.drives.map(tailStart)].sort((a, b) => a - b);
  const runs: WrittenRun[] = [];
  try {
    const windows = source.reader ? windowsOfFile(source.reader, options) : windowsOfStream(source.stream, options);
    for await (const window of windows) {
      if (tasks.every((task) => task.failure !== undefined)) {
        pool.giveBack(window.slot);
        break;
      }
      if (window.start === 0) window.slot.bytes.copy(head);
      const body = bodyRuns(window, cuts, plan.verify);
      runs.push(...body);
      deliver(window, body, tasks, pool);
    }
  } finally {
    await Promise.all(tasks.map((task) => task.idle()));
  }
  const size = source.reader?.size ?? map.bytesPassed;
  await source.requireUnchanged();
  const isComplete = tasks.some((task) => task.failure === undefined);
  if (isComplete && !plan.everything) requireWholeImage(source.name, map, size);
  const headSize = Math.min(tableSize, Math.ceil(size / sectorSize) * sectorSize);
  return { size, runs, head: head.subarray(0, headSize) };
}

/** The runs of a window behind the head, with checksums if they are going to be needed. No run lies across the place where the tail of a drive begins. */
function bodyRuns(window: ImageWindow, cuts: readonly number[], isToBeVerified: boolean): WrittenRun[] {
  const pieces = window.runs.flatMap((run) => cutRun(run, cuts)).filter((piece) => piece.start >= tableSize);
  return pieces.map(({ start, size }) => {
    const at = start - window.start;
    return { start, size, checksum: isToBeVerified ? crc32(window.slot.bytes.subarray(at, at + size)) : 0 };
  });
}

function cutRun({ start, size }: ByteRange, cuts: readonly number[]): ByteRange[] {
  const end = start + size;
  const starts = [start, ...new Set(cuts.filter((cut) => cut > start && cut < end))];
  return starts.map((from, index) => ({ start: from, size: (starts[index + 1] ?? end) - from }));
}

/** Gives a window to every drive that still works; the last one to be done with it gives its memory back. */
function deliver(window: ImageWindow, runs: readonly WrittenRun[], tasks: readonly DriveTask[], pool: SlotPool): void {
  let users = tasks.length;
  const release = () => {
    users -= 1;
    if (users === 0) pool.giveBack(window.slot);
  };
  for (const task of tasks) task.deliver({ window, runs, release });
}
