import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ByteRange } from '../../../src/lib/image/partition-table.js';
import { RangeFeed, type RangeParser, shifted } from '../../../src/lib/image/range-feed.js';
import { rounds } from '../../support/campaign.js';
import { seededRandom } from '../../support/seeded-random.js';

const image = seededRandom(5).bytes(300_000);

/** Asks for ranges and keeps what it is given. */
function* asking(ranges: readonly ByteRange[], given: (Buffer | undefined)[]): RangeParser {
  for (const range of ranges) given.push(yield range);
}

function pass(feed: RangeFeed, chunkSize: number): void {
  for (let at = 0; at < image.length; at += chunkSize) feed.pass(image.subarray(at, at + chunkSize));
}

const bytesOf = ({ start, size }: ByteRange) => image.subarray(start, start + size);

test('gives a parser ranges in order from a stream in chunks of any size', () => {
  const random = seededRandom(1);
  for (let round = 0; round < rounds(50, 1000); round += 1) {
    const ranges: ByteRange[] = [];
    for (let at = random.below(20_000); at < image.length - 20_000; at += random.below(40_000)) {
      const size = 1 + random.below(20_000);
      ranges.push({ start: at, size });
      at += size;
    }
    const given: (Buffer | undefined)[] = [];
    const feed = new RangeFeed();
    feed.start(asking(ranges, given));
    pass(feed, 1 + random.below(50_000));
    assert.deepEqual(given, ranges.map(bytesOf));
    assert.equal(feed.position, image.length);
  }
});

test('gives again what lies in the last range, and what follows it', () => {
  const ranges = [
    { start: 1000, size: 5000 },
    { start: 1000, size: 10 },
    { start: 4000, size: 100 },
    { start: 5900, size: 3000 },
    { start: 8000, size: 100 },
  ];
  for (const chunkSize of [1, 999, 4096, 400_000]) {
    const given: (Buffer | undefined)[] = [];
    const feed = new RangeFeed();
    feed.start(shifted(asking(ranges, given), 100));
    pass(feed, chunkSize);
    assert.deepEqual(
      given,
      ranges.map(({ start, size }) => bytesOf({ start: start + 100, size })),
    );
  }
});

test('gives nothing for what has gone by, and for what is too large to be true', () => {
  const given: (Buffer | undefined)[] = [];
  const feed = new RangeFeed();
  feed.start(
    asking(
      [
        { start: 100_000, size: 10 },
        { start: 5, size: 10 },
        { start: 100_020, size: 2 ** 40 },
        { start: 200_000, size: 1 },
      ],
      given,
    ),
  );
  pass(feed, 1000);
  assert.deepEqual(given, [
    bytesOf({ start: 100_000, size: 10 }),
    undefined,
    undefined,
    bytesOf({ start: 200_000, size: 1 }),
  ]);
});
