import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { alignment, partitionsOf, planLayout } from '../../../src/lib/os/disk-layout.js';

const layout = planLayout({ boot: 40, root: 320, state: 20, data: 192 });

describe('planLayout', () => {
  it('puts the five partitions of balenaOS in its order, behind the first 4 MiB', () => {
    const names = partitionsOf(layout).map(({ number, name }) => `${number} ${name}`);
    assert.deepEqual(names, ['1 resin-boot', '2 resin-rootA', '3 resin-rootB', '4 resin-state', '5 resin-data']);
    assert.equal(layout.boot.offset, alignment);
  });

  it('aligns each partition and leaves no gap and no overlap', () => {
    let end = alignment;
    for (const { offset, size } of partitionsOf(layout)) {
      assert.equal(offset, end);
      assert.equal(offset % alignment, 0);
      end += size;
    }
    assert.equal(layout.size, end + alignment);
  });
});
