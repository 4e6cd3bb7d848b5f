import type { ImageSource } from '../image/source.js';
import type { DriveTask } from './drive-task.js';
import { tableSize, tailStart } from './drive-writer.js';
import { imageWindows, type ImageWindow, requireWholeImage, type WindowOptions } from './image-windows.js';
import type { FlashPlan } from './plan-flash.js';
import type { WriteEstimate } from './write-estimate.js';

/** Looks at an image as it is, also at what of it is not written. */
export interface ImageObserver {
  /** Takes all windows in order; it holds the slot of one that it looks at later than at once. */
  readonly take: (window: ImageWindow) => void;
  /** Waits until all has been looked at. Fails when the image must not be used: then no drive gets its partition table. */
  readonly finish: (size: number) => Promise<void>;
}

/** What an image is read with. */
export interface ReadImageMeans extends Pick<WindowOptions, 'pool' | 'checks'> {
  readonly tasks: readonly DriveTask[];
  readonly observers: readonly ImageObserver[];
  readonly estimate: WriteEstimate;
}

/**
 * Reads an image once, gives it to all drives that work, and tells them when it is complete. Gives the size of the image, in bytes. Fails
 * when the image is bad.
 */
export async function readImage(plan: FlashPlan, source: ImageSource, means: ReadImageMeans): Promise<number> {
  const { pool, checks, tasks, observers, estimate } = means;
  const variants = [...new Set(tasks.map((task) => task.variant))];
  const { everything } = plan;
  const sectorSize = Math.max(...plan.drives.map((drive) => drive.sectorSize));
  const cuts = [tableSize, ...plan.drives.map(tailStart)];
  const wantedWithin = (start: number, end: number) =>
    everything || observers.length > 0
      ? [{ start, size: end - start }]
      : variants.flatMap((variant) => variant.map.usedWithin(start, end));
  let size = 0;
  try {
    for await (const window of imageWindows(source, { pool, checks, wantedWithin })) {
      size = window.start + window.size;
      for (const observer of observers) observer.take(window);
      for (const variant of variants) {
        if (source.reader === undefined) variant.pass(window.bytesOf(window), window.start);
        const pieces = variant.piecesOf(window, { everything, sectorSize, cuts });
        if (variant === variants[0]) for (const { run } of pieces) if (run.start >= tableSize) estimate.add(run.size);
        for (const task of tasks) if (task.variant === variant) task.deliver(window, pieces);
      }
      window.slot.letGo();
      if (tasks.every((task) => task.failure !== undefined)) return size;
    }
  } catch (error) {
    // A file that ends too early was shortened, which says more.
    await source.requireUnchanged();
    throw error;
  }
  size = source.reader?.size ?? size;
  await source.requireUnchanged();
  for (const check of checks) check.finish(size);
  for (const variant of variants) if (!everything) requireWholeImage(source.name, variant.map, size);
  for (const observer of observers) await observer.finish(size);
  for (const task of tasks) task.complete();
  return size;
}
