import type { Partition } from '../image/partition-table.js';
import type { WrittenRun } from './drive-thread.js';

/** The least of the bytes that a sample has, as a share, and of the runs. */
const leastShare = 0.1;
const leastRuns = 32;

/**
 * A sample of runs that shows most of what can be wrong with a card: the first and the last run of all and of each partition, and others
 * spread evenly, which of them is left to chance.
 *
 * @param random a number from 0 up to 1, each time another
 */
export function sampleRuns(
  runs: readonly WrittenRun[],
  partitions: readonly Partition[],
  random: () => number = Math.random,
): WrittenRun[] {
  const chosen = new Set<WrittenRun>();
  for (const { start, size } of [{ start: 0, size: Number.POSITIVE_INFINITY }, ...partitions]) {
    const within = runs.filter((run) => run.start < start + size && start < run.start + run.size);
    for (const run of [within[0], within.at(-1)]) if (run !== undefined) chosen.add(run);
  }
  const count = Math.min(runs.length, Math.max(leastRuns, Math.ceil(runs.length * leastShare)));
  for (let index = 0; index < count; index += 1) {
    const run = runs[Math.floor(((index + random()) * runs.length) / count)];
    if (run !== undefined) chosen.add(run);
  }
  return runs.filter((run) => chosen.has(run));
}
