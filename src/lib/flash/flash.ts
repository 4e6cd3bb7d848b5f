import { rm } from 'node:fs/promises';
import type { Drive } from '../drives/drive.js';
import { interrupted } from '../failure/failure.js';
import type { DeviceIdentity } from '../boot-config/device-identity.js';
import type { ContentCheck } from '../image/content-check.js';
import type { ChangedRanges } from '../image/overlay.js';
import type { ImageSource } from '../image/source.js';
import type { SourceProof } from '../image/source-proof.js';
import type { ProgressListener } from '../platform/progress.js';
import { DriveTask } from './drive-task.js';
import { DriveWriter, tableSize } from './drive-writer.js';
import { identityOnDrive } from '../boot-config/glance-at-image.js';
import { expectFreshDevice } from './expect-fresh-device.js';
import { FlashJournal } from './flash-journal.js';
import { driveState, flashedDrive, flashedImage, flashFailure, type FlashResult } from './flash-result.js';
import { changesFor, type DriveChanges, ImageVariant } from './image-variant.js';
import { learnMap } from './image-windows.js';
import { LagRelief } from './lag-relief.js';
import { noExtras } from './plan-extras.js';
import type { FlashPlan } from './plan-flash.js';
import { copyInFile, SpoolFile } from './prepared-copy.js';
import { ProofObserver } from './proof-observer.js';
import { readImage } from './read-image.js';
import { SlotPool } from './slot-pool.js';
import { withTotal } from './with-total.js';
import { WriteEstimate } from './write-estimate.js';

/** What a flash needs besides its plan. */
export interface FlashOptions {
  /** What the image has to stand up to before a drive gets its partition table. */
  readonly checks?: readonly ContentCheck[];
  /** Laid over the image as it is written, such as a configured boot partition. */
  readonly changes?: DriveChanges;
  /** What proves that the source, which was opened with it, is the right one. */
  readonly proof?: SourceProof;
  /** By what the device will be known: it is remembered, and the host key pinned for it forgotten. */
  readonly identity?: DeviceIdentity;
  /** How long a single request to a drive may take, in milliseconds. */
  readonly stallMs?: number;
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

/** Larger windows are not faster but take more memory, and this many are enough to read ahead while each drive has two that it is writing. */
const windowSize = 1024 * 1024;
const windowsToRead = 6;
const windowsPerUser = 2;

/**
 * Writes an image to drives in one pass, in an order that never leaves a trap: the old partition table is wiped first, everything but the
 * new one is written, flushed and read back from the medium, and only then is the new one written, flushed and read back. A drive that
 * fails does not stop the others; when any has failed the call fails once all are done.
 */
export async function flash(plan: FlashPlan, source: ImageSource, options: FlashOptions): Promise<FlashResult> {
  const startedAt = performance.now();
  const { checks = [], proof } = options;
  const progress = withTotal(options.progress, plan.drives.length);
  if (options.signal.aborted) throw interrupted();
  const variants = await makeVariants(plan.drives, source, options.changes ?? []);
  const observer = proof?.readsContent === true ? new ProofObserver(proof) : undefined;
  const observers = observer === undefined ? [] : [observer];
  const writers = await openAll(plan.drives, options);
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
  const stop = (why: unknown) => {
    work.abort(why);
    for (const task of tasks) task.stop();
  };
  relief.watch(
    tasks.map((task) => task.lane),
    stop,
  );
  const onAbort = () => {
    stop(interrupted());
  };
  options.signal.addEventListener('abort', onAbort, { once: true });
  const reading = readImage(plan, source, { pool, checks, observers, tasks, estimate });
  const running = tasks.map((task) => task.run());
  // What goes wrong with the image ends the work on all drives, as an interruption does.
  for (const one of [reading, ...running]) one.catch(stop);
  await Promise.allSettled(running);
  // Nobody waits for the rest of an image that no drive takes any more; it may be long in coming.
  if (tasks.some((task) => task.failure === undefined)) await Promise.allSettled([reading]);
  options.signal.removeEventListener('abort', onAbort);
  const identity = await knownBy(options.identity, tasks);
  const left = await Promise.allSettled(tasks.map((task) => leave(task, plan, progress)));
  await copy.close();
  const drives = tasks.map(flashedDrive);
  // Only the first reason is kept; what fails later fails because of it.
  const failure = flashFailure(work.signal.reason, tasks, drives);
  if (failure !== undefined) throw failure;
  for (const one of left) if (one.status === 'rejected') throw one.reason;
  if (identity !== undefined) await expectFreshDevice(identity, progress);
  const mapped = estimate.found + Math.min(tableSize, await reading);
  const image = flashedImage(source, await reading, mapped, observer?.findings);
  return { image, drives, seconds: (performance.now() - startedAt) / 1000 };
}

/** By what the device will be known, read from the first good drive where the image did not tell: what is packed shows it only there. */
async function knownBy(
  identity: DeviceIdentity | undefined,
  tasks: readonly DriveTask[],
): Promise<DeviceIdentity | undefined> {
  const done = tasks.find((task) => task.failure === undefined);
  if (identity === undefined || done === undefined) return undefined;
  const isTold = identity.hostname !== undefined || identity.uuid !== undefined;
  return isTold ? identity : identityOnDrive(done.writer.drive.path);
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

/** Opens all drives or, when one cannot be opened or the user has changed their mind meanwhile, none. */
async function openAll(
  drives: readonly Drive[],
  { signal, stallMs }: Pick<FlashOptions, 'signal' | 'stallMs'>,
): Promise<DriveWriter[]> {
  const results = await Promise.allSettled(drives.map((drive) => DriveWriter.open(drive, stallMs)));
  const writers = results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed === undefined && !signal.aborted) return writers;
  for (const writer of writers) {
    await writer.close();
    if (writer.drive.isNew) await rm(writer.drive.path, { force: true });
  }
  throw failed?.reason ?? interrupted();
}

/** Lets go of a drive, and says so when it was left without a partition table, or when that cannot be told. */
async function leave(task: DriveTask, plan: FlashPlan, progress: ProgressListener): Promise<void> {
  await task.leave();
  const { drive } = task.writer;
  if (drive.isNew && task.table !== 'new') {
    const reached = (await new FlashJournal(drive, plan.image).reached()) ?? 0;
    // Nothing is in it that a later flash could go on with.
    if (reached === 0) return rm(drive.path, { force: true });
  }
  const isChanged = task.table === 'none' || task.table === 'unsure';
  const text = driveState(task);
  if (isChanged) progress({ type: 'notice', level: 'warning', text });
}
