import { rm } from 'node:fs/promises';
import type { Drive } from '../drives/drive.js';
import { Failure, interrupted } from '../failure/failure.js';
import type { ContentCheck } from '../image/content-check.js';
import type { ChangedRanges } from '../image/overlay.js';
import type { ImageSource } from '../image/source.js';
import { noFindings, type SourceFindings, type SourceProof } from '../image/source-proof.js';
import type { SourceFormat } from '../image/source-format.js';
import type { ProgressListener } from '../platform/progress.js';
import { DriveTask } from './drive-task.js';
import { DriveWriter } from './drive-writer.js';
import { FlashJournal } from './flash-journal.js';
import { forgetHostKey } from './forget-host-key.js';
import { changesFor, type DriveChanges, ImageVariant } from './image-variant.js';
import { learnMap } from './image-windows.js';
import { LagRelief } from './lag-relief.js';
import { noExtras } from './plan-extras.js';
import type { FlashPlan, VerifyMode } from './plan-flash.js';
import { copyInFile, SpoolFile } from './prepared-copy.js';
import { ProofObserver } from './proof-observer.js';
import { readImage } from './read-image.js';
import { SlotPool } from './slot-pool.js';
import { WriteEstimate } from './write-estimate.js';

/** What a flash did. */
export interface FlashResult {
  readonly image: FlashedImage;
  readonly drives: readonly FlashedDrive[];
}

/** The image as it was read. */
export interface FlashedImage extends SourceFindings {
  readonly name: string;
  readonly format: SourceFormat;
  /** Bytes. */
  readonly size: number;
}

/** What was done to one drive. */
export interface FlashedDrive {
  readonly path: string;
  readonly serial: string | null;
  readonly bytesWritten: number;
  /** Bytes that the drive held already, so that they were not written. */
  readonly bytesSkipped: number;
  /** Bytes read back and found equal; 0 when that was not asked for. */
  readonly bytesVerified: number;
  /** Runs that were wrong when they were read back, and right after they had been written again. */
  readonly runsRepaired: number;
  /** Whether they came from the medium, or, on a file that knows no direct I/O, perhaps only from memory. */
  readonly verifiedFrom: 'medium' | 'cache' | null;
  /** Whether something was done to make it safe to pull. */
  readonly ejected: boolean;
  readonly seconds: number;
}

/** What a flash needs besides its plan. */
export interface FlashOptions {
  /** What the image has to stand up to before a drive gets its partition table. */
  readonly checks?: readonly ContentCheck[];
  /** Laid over the image as it is written, such as a configured boot partition. */
  readonly changes?: DriveChanges;
  /** What proves that the source, which was opened with it, is the right one. */
  readonly proof?: SourceProof;
  /** The hostname that the device will have, where it is known: the host key pinned for it is forgotten. */
  readonly hostname?: string | undefined;
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

/** Larger windows are not faster, and this many are enough to read ahead while each drive has two that it is writing. */
const windowSize = 2 * 1024 * 1024;
const windowsToRead = 6;
const windowsPerUser = 2;

/**
 * Writes an image to drives in one pass, in an order that never leaves a trap: the old partition table is wiped first, everything but the
 * new one is written, flushed and read back from the medium, and only then is the new one written, flushed and read back. A drive that
 * fails does not stop the others; when any has failed the call fails once all are done.
 */
export async function flash(plan: FlashPlan, source: ImageSource, options: FlashOptions): Promise<FlashResult> {
  const startedAt = performance.now();
  const { progress, checks = [], proof } = options;
  if (options.signal.aborted) throw interrupted();
  const variants = await makeVariants(plan.drives, source, options.changes ?? []);
  const observer = proof?.readsContent(plan.everything) === true ? new ProofObserver(proof) : undefined;
  const observers = observer === undefined ? [] : [observer];
  const writers = await openAll(plan.drives);
  const work = new AbortController();
  const pool = new SlotPool(
    windowsToRead + windowsPerUser * (writers.length + observers.length),
    windowSize,
    work.signal,
  );
  const copy = source.reader === undefined ? new SpoolFile() : copyInFile(source.reader);
  const relief = new LagRelief(pool, progress);
  const estimate = new WriteEstimate(plan, source, variants);
  const recall = { copy, source, pool };
  const tasks = writers.map((writer, index) => {
    const extras = plan.extras[index] ?? noExtras;
    const journal = new FlashJournal(writer.drive, plan.image);
    const lane = { pool, copy, onIdle: relief.consider };
    const variant = variants[index] ?? new ImageVariant([]);
    return new DriveTask(writer, { extras, journal, lane, variant, verify: plan.verify, recall, estimate, progress });
  });
  relief.watch(tasks.map((task) => task.lane));
  let size: number;
  const stop = (why: unknown) => {
    work.abort(why);
    for (const task of tasks) task.stop();
  };
  const onAbort = () => {
    stop(interrupted());
  };
  options.signal.addEventListener('abort', onAbort, { once: true });
  try {
    const reading = readImage(plan, source, { pool, checks, observers, tasks, estimate });
    const all = [reading, ...tasks.map((task) => task.run())];
    // What goes wrong with the image ends the work on all drives, as an interruption does.
    for (const one of all) one.catch(stop);
    await Promise.allSettled(all);
    // Only the first reason is kept; what fails later fails because of it.
    work.signal.throwIfAborted();
    throwFailures(tasks);
    size = await reading;
    if (options.hostname !== undefined) await forgetHostKey(options.hostname, progress);
  } finally {
    options.signal.removeEventListener('abort', onAbort);
    await Promise.all(tasks.map((task) => leave(task, progress)));
    await copy.close();
  }
  const seconds = (performance.now() - startedAt) / 1000;
  return {
    image: { name: source.name, format: source.format, size, ...(observer?.findings ?? noFindings) },
    drives: tasks.map((task) => flashedDrive(task, plan.verify, seconds)),
  };
}

/** The image as each drive gets it, one after the other; drives with the same changes share one variant. */
async function makeVariants(
  drives: readonly Drive[],
  source: ImageSource,
  changes: DriveChanges,
): Promise<ImageVariant[]> {
  const variants = new Map<ChangedRanges, ImageVariant>();
  const ofDrives = drives.map((drive) => {
    const own = changesFor(drive, changes);
    const variant = variants.get(own) ?? new ImageVariant(own);
    variants.set(own, variant);
    return variant;
  });
  for (const variant of variants.values()) {
    const change = (bytes: Buffer, offset: number) => {
      variant.change(bytes, offset);
    };
    if (source.reader !== undefined) await learnMap(source.reader, variant.map, change);
  }
  return ofDrives;
}

function flashedDrive(task: DriveTask, verify: VerifyMode, seconds: number): FlashedDrive {
  const { writer, bytesWritten, bytesSkipped, bytesVerified, runsRepaired, isEjected } = task;
  return {
    path: writer.drive.path,
    serial: writer.drive.serial ?? null,
    bytesWritten,
    bytesSkipped,
    bytesVerified,
    runsRepaired,
    verifiedFrom: verify !== 'none' ? (writer.isDirect ? 'medium' : 'cache') : null,
    ejected: isEjected,
    seconds,
  };
}

/** Opens all drives or, when one cannot be opened, none. */
async function openAll(drives: readonly Drive[]): Promise<DriveWriter[]> {
  const results = await Promise.allSettled(drives.map((drive) => DriveWriter.open(drive)));
  const writers = results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
  for (const result of results) {
    if (result.status === 'fulfilled') continue;
    for (const writer of writers) {
      await writer.close();
      if (writer.drive.isNew) await rm(writer.drive.path, { force: true });
    }
    throw result.reason;
  }
  return writers;
}

/** Lets go of a drive, and says so when it was left without a partition table, or when that cannot be told. */
async function leave(task: DriveTask, progress: ProgressListener): Promise<void> {
  await task.leave();
  const { drive } = task.writer;
  if (drive.isNew && task.table !== 'new' && task.bytesWritten === 0) return rm(drive.path, { force: true });
  if (task.table === 'old' || task.table === 'new') return;
  const state = task.table === 'none' ? 'holds no partition table now and does not boot' : 'may hold half a system';
  const text = `${drive.path} ${state}; flash it again before you use it`;
  progress({ type: 'notice', level: 'warning', text });
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
