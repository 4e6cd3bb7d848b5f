import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BlockReader } from '../../../src/lib/image/block-file.js';
import { applyChanges, layChangesOver, Overlay } from '../../../src/lib/image/overlay.js';
import { rounds } from '../../support/campaign.js';
import { seededRandom } from '../../support/seeded-random.js';

function memory(bytes: Buffer): BlockReader {
  return {
    size: bytes.length,
    read: (offset, length) => Promise.resolve(Buffer.from(bytes.subarray(offset, offset + length))),
  };
}

describe('an overlay', () => {
  test('reads, lists and applies what was written, at any offset and length', async () => {
    const random = seededRandom(9);
    const below = random.bytes(20_300);
    const expected = Buffer.from(below);
    const overlay = new Overlay(memory(below));
    for (let round = 0; round < rounds(200, 10_000); round += 1) {
      const data = random.bytes(1 + random.below(1500));
      const offset = random.below(below.length - data.length);
      await overlay.write(offset, data);
      data.copy(expected, offset);
      const from = random.below(below.length - 1);
      const length = 1 + random.below(below.length - from);
      assert.ok((await overlay.read(from, length)).equals(expected.subarray(from, from + length)));
    }
    const changes = await overlay.changes();
    const applied = Buffer.from(below);
    await applyChanges(
      {
        write: (offset, data) => {
          applied.set(data, offset);
          return Promise.resolve();
        },
      },
      changes,
    );
    assert.ok(applied.equals(expected));

    const streamed: Buffer[] = [];
    for (let at = 0; at < below.length;) {
      const chunk = Buffer.from(below.subarray(at, at + 1 + random.below(3000)));
      layChangesOver(chunk, at, changes);
      streamed.push(chunk);
      at += chunk.length;
    }
    assert.ok(Buffer.concat(streamed).equals(expected));
  });

  test('lists changes sorted, in whole sectors, neighbours together, and moved to where the partition is', async () => {
    const overlay = new Overlay(memory(Buffer.alloc(4096)));
    await overlay.write(2048, Buffer.from([1]));
    await overlay.write(510, Buffer.from([1, 1, 1]));
    const changes = await overlay.changes(1_000_000);
    assert.deepEqual(
      changes.map(({ offset, data }) => [offset, data.length]),
      [
        [1_000_000, 1024],
        [1_002_048, 512],
      ],
    );
  });

  test('lists nothing where the same bytes were written', async () => {
    const overlay = new Overlay(memory(Buffer.alloc(2048, 5)));
    await overlay.write(100, Buffer.alloc(900, 5));
    assert.deepEqual(await overlay.changes(), []);
  });
});
