import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatBytes, formatDuration, formatRate } from '../../../src/lib/output/format.js';
import { RateMeter } from '../../../src/lib/output/rate-meter.js';
import { tableLines } from '../../../src/lib/output/table.js';

describe('formats', () => {
  it('write bytes in powers of ten with three digits at most', () => {
    const cases: readonly (readonly [number, string])[] = [
      [0, '0 B'],
      [999, '999 B'],
      [1000, '1.0 kB'],
      [99_449, '99.4 kB'],
      [99_500, '100 kB'],
      [999_400, '999 kB'],
      [999_600, '1.0 MB'],
      [717_225_984, '717 MB'],
      [7_948_206_080, '7.9 GB'],
    ];
    for (const [bytes, text] of cases) assert.equal(formatBytes(bytes), text);
    assert.equal(formatRate(23_400_000), '23.4 MB/s');
  });

  it('write durations as a clock would', () => {
    assert.equal(formatDuration(0.44), '0.4s');
    assert.equal(formatDuration(9.96), '10s');
    assert.equal(formatDuration(59.6), '1m 00s');
    assert.equal(formatDuration(65), '1m 05s');
    assert.equal(formatDuration(7380), '2h 03m');
  });

  it('lay tables out in columns without trailing blanks', () => {
    assert.deepEqual(
      tableLines(
        ['drive', 'size'],
        [
          ['/dev/sdb', '8 GB'],
          ['/dev/mmcblk0', ''],
        ],
      ),
      ['DRIVE         SIZE', '/dev/sdb      8 GB', '/dev/mmcblk0'],
    );
  });
});

describe('the rate meter', () => {
  it('tells rate and time left over the last seconds only', () => {
    const meter = new RateMeter();
    assert.equal(meter.rate(), undefined);
    meter.add(0, 0);
    meter.add(1000, 1_000_000);
    assert.equal(meter.rate(), 1_000_000);
    assert.equal(meter.secondsLeft(3_000_000), 2);
    for (let second = 2; second <= 20; second++) meter.add(second * 1000, 1_000_000 + (second - 1) * 10_000_000);
    assert.equal(meter.rate(), 10_000_000);
    assert.equal(meter.average(), 191_000_000 / 20);
  });

  it('says nothing about time left when nothing moves', () => {
    const meter = new RateMeter();
    meter.add(0, 5);
    meter.add(1000, 5);
    assert.equal(meter.secondsLeft(10), undefined);
  });
});
