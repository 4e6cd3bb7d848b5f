import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sampleRuns } from '../../../src/lib/flash/sample-runs.js';
import { seededRandom } from '../../support/seeded-random.js';

const size = 100;
const runs = Array.from({ length: 1000 }, (_, index) => ({ start: index * size, size, checksum: 0 }));
const partitions = [
  { number: 1, start: 10 * size, size: 200 * size, type: '' },
  { number: 2, start: 210 * size, size: 790 * size, type: '' },
];

test('a sample has the ends of everything and of each partition, and a tenth of the rest, in order', () => {
  const random = seededRandom(3);
  const sample = sampleRuns(runs, partitions, () => random.below(1000) / 1000);
  for (const index of [0, 10, 209, 210, 999])
    assert.ok(sample.includes(runs[index] ?? { start: 0, size, checksum: 1 }));
  assert.ok(sample.length >= 100 && sample.length <= 105);
  assert.ok(sample.every((run, index) => index === 0 || run.start > (sample[index - 1]?.start ?? 0)));
  // No stretch of any length is left out.
  for (let from = 0; from < 1000; from += 20)
    assert.ok(sample.some((run) => run.start >= from * size && run.start < (from + 20) * size));
});

test('a sample of few runs has them all, and each time others of many', () => {
  assert.equal(sampleRuns(runs.slice(0, 20), partitions).length, 20);
  const one = sampleRuns(runs, partitions).map((run) => run.start);
  assert.notDeepEqual(
    sampleRuns(runs, partitions).map((run) => run.start),
    one,
  );
});
