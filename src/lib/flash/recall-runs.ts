import type { ImageSource } from '../image/source.js';
import type { WrittenRun } from './drive-thread.js';
import type { ImageVariant } from './image-variant.js';
import { imageWindows } from './image-windows.js';
import type { PreparedCopy } from './prepared-copy.js';
import type { SlotPool } from './slot-pool.js';

/** Where bytes of an image that have been read once can be had from again. */
export interface RecallMeans {
  readonly variant: ImageVariant;
  readonly copy: PreparedCopy;
  readonly source: Pick<ImageSource, 'again'>;
  readonly pool: SlotPool;
}

/**
 * Gets the bytes of runs once more, in aligned shared memory, and hands them over, in any order: changes from memory, the rest from the file or
 * the copy, or by opening and unpacking the image again as far as need be. Runs that cannot be had, as those of standard input, are left out.
 */
export async function recallRuns(
  runs: readonly WrittenRun[],
  { variant, copy, source, pool }: RecallMeans,
  use: (run: WrittenRun, bytes: Buffer) => Promise<void>,
): Promise<void> {
  const rest: WrittenRun[] = [];
  for (const run of runs) {
    const own = variant.ownBytes(run);
    if (own !== undefined) await use(run, own);
    else if (copy.has(run)) {
      const slot = await pool.take();
      try {
        const bytes = slot.bytes.subarray(0, run.size);
        await copy.read(bytes, run.start);
        await use(run, bytes);
      } finally {
        slot.letGo();
      }
    } else rest.push(run);
  }
  if (rest.length === 0 || source.again === undefined) return;
  const again = await source.again();
  try {
    for await (const window of imageWindows(again, { pool, checks: [], wantedWithin: () => [] })) {
      try {
        const end = window.start + window.size;
        for (const run of rest) if (run.start >= window.start && run.start < end) await use(run, window.bytesOf(run));
        if (rest.every((run) => run.start < end)) break;
      } finally {
        window.slot.letGo();
      }
    }
  } finally {
    await again.close();
  }
}
