import type { Drive } from '../drives/drive.js';
import { Failure, interrupted } from '../failure/failure.js';
import { BlockMap } from '../image/block-map.js';
import type { ChangedRanges } from '../image/overlay.js';
import type { ImageSource } from '../image/source.js';
import type { SourceFormat } from '../image/source-format.js';
import type { ProgressListener } from '../platform/progress.js';
import { DriveTask } from './drive-task.js';
import { DriveWriter, tableSize } from './drive-writer.js';
import { forgetHostKey } from './forget-host-key.js';
import { learnMap } from './image-windows.js';
import type { FlashPlan } from './plan-flash.js';
import { SlotPool } from './slot-pool.js';
import { writeImage } from './write-image.js';

/** What a flash did. */
export interface FlashResult {
  readonly image: { readonly name: string; readonly format: SourceFormat; readonly size: number };
  readonly drives: readonly FlashedDrive[];
}

/** What was done to one drive. */
export interface FlashedDrive {
  readonly path: string;
  readonly serial: string | null;
  readonly bytesWritten: number;
  /** Bytes read back and found equal; 0 when that was not asked for. */
  readonly bytesVerified: number;
  /** Whether they came from the medium, or, on a file that knows no direct I/O, perhaps only from memory. */
  readonly verifiedFrom: 'medium' | 'cache' | null;
  readonly seconds: number;
}

/** What a flash needs besides its plan. */
export interface FlashOptions {
  /** Laid over the image as it is written, such as a configured boot partition. */
  readonly changes?: ChangedRanges;
  /** The hostname that the device will have, where it is known: the host key pinned for it is forgotten. */
  readonly hostname?: string | undefined;
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

/**
 * The memory of a flash, shared by all drives: larger windows are not faster, and this many are enough to read ahead, write and be
 * waited for at the same time.
 */
const windowSize = 4 * 1024 * 1024;
const windowCount = 6;

/**
 * Writes an image to drives in one pass, in an order that never leaves a trap: the old partition table is wiped first, everything but the
 * new one is written, flushed and read back from the medium, and only then is the new one written, flushed and read back. A drive that
 * fails does not stop the others; when any has failed the call fails once all are done.
 */
export async function flash(plan: FlashPlan, source: ImageSource, options: FlashOptions): Promise<FlashResult> {
  const startedAt = performance.now();
  const { signal, progress, changes = [] } = options;
  if (signal.aborted) throw interrupted();
  const map = new BlockMap();
  if (source.reader !== undefined) await learnMap(source.reader, map, changes);
  const pool = new SlotPool(windowCount, windowSize);
  const total = totalToWrite(plan, source, map);
  const writers = await openAll(plan.drives);
  const tasks = writers.map((writer) => new DriveTask(writer, total, progress));
  try {
    await forEach(tasks, (task) => task.wipe());
    const written = await writeImage(plan, source, tasks, { map, pool, changes, signal });
    await forEach(tasks, async (task) => {
      await task.finishWriting();
      if (plan.verify) await task.verify(written.runs, pool, map, signal);
      if (signal.aborted) throw interrupted();
      await task.writeTable(written.head, plan.verify, pool, signal);
    });
    throwFailures(tasks);
    if (options.hostname !== undefined) await forgetHostKey(options.hostname, progress);
    const seconds = (performance.now() - startedAt) / 1000;
    return {
      image: { name: source.name, format: source.format, size: written.size },
      drives: tasks.map(({ writer: { drive, isDirect }, bytesWritten, bytesVerified }) => ({
        path: drive.path,
        serial: drive.serial ?? null,
        bytesWritten,
        bytesVerified,
        verifiedFrom: plan.verify ? (isDirect ? 'medium' : 'cache') : null,
        seconds,
      })),
    };
  } finally {
    await Promise.all(tasks.map((task) => leave(task, progress)));
  }
}

async function openAll(drives: readonly Drive[]): Promise<DriveWriter[]> {
  const writers: DriveWriter[] = [];
  try {
    for (const drive of drives) writers.push(await DriveWriter.open(drive));
    return writers;
  } catch (error) {
    for (const writer of writers) await writer.close();
    throw error;
  }
}

/** Does something to all drives at once and waits for all of them, also when it is interrupted. */
async function forEach(tasks: readonly DriveTask[], work: (task: DriveTask) => Promise<void>): Promise<void> {
  const results = await Promise.allSettled(tasks.map((task) => task.attempt(() => work(task))));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

/** Lets go of a drive, and says so when it was left without a partition table, or when that cannot be told. */
async function leave(task: DriveTask, progress: ProgressListener): Promise<void> {
  const { writer } = task;
  // When the drive has vanished there is nothing to be done, and why it was given up is already being reported.
  if (task.table === 'unsure') await task.wipe().catch(() => undefined);
  await writer.close();
  if (task.table === 'old' || task.table === 'new') return writer.announcePartitions();
  const state = task.table === 'none' ? 'holds no partition table now and does not boot' : 'may hold half a system';
  const text = `${writer.drive.path} ${state}; flash it again before you use it`;
  progress({ type: 'notice', level: 'warning', text });
}

/** Bytes to write, as well as that can be told while an image is read, given the bytes written so far. */
function totalToWrite(plan: FlashPlan, source: ImageSource, map: BlockMap): (written: number) => number {
  const { bytesToWrite, size } = plan.image;
  if (bytesToWrite !== undefined) return () => Math.max(0, bytesToWrite - tableSize);
  return (written) => {
    const atMost = written + Math.max(0, size - map.bytesPassed);
    const { current, total } = source.packedProgress();
    if (plan.everything || total === undefined || current < total / 50) return atMost;
    // What does not matter is mostly empty and packs to nothing, so the packed bytes tell how much is left.
    return Math.min(atMost, (written * total) / current);
  };
}

/** Fails with the failure of the one drive, or with one that tells those of all. */
function throwFailures(tasks: readonly DriveTask[]): void {
  const failures = tasks.flatMap((task) => task.failure ?? []);
  const [first] = failures;
  if (first === undefined) return;
  if (tasks.length === 1) throw first;
  const details = failures.map((failure) => `\n  ${failure.message}`).join('');
  throw new Failure('failed', 'drives-failed', `${failures.length} of ${tasks.length} drives failed:${details}`, {
    hint: 'The other drives are done',
    cause: first,
  });
}
