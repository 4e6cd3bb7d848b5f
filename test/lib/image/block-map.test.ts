import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { type BlockFile, openBlockFile } from '../../../src/lib/image/block-file.js';
import { BlockMap } from '../../../src/lib/image/block-map.js';
import { makeOsImage } from '../../support/os-image.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

async function learnByReading(file: BlockFile): Promise<BlockMap> {
  const map = new BlockMap();
  for (let range = map.wanted; range !== undefined; range = map.wanted) {
    map.answer(range.start + range.size <= file.size ? await file.read(range.start, range.size) : undefined);
  }
  return map;
}

const sum = (ranges: readonly { readonly size: number }[]) => ranges.reduce((all, range) => all + range.size, 0);

for (const table of ['gpt', 'mbr'] as const) {
  test(`learns the same map of a ${table} image from a stream as from reading anywhere`, async (t) => {
    const {
      path: image,
      size,
      partitions,
    } = await makeOsImage(path.join(await temporaryFolder(t), 'image'), { table });
    const file = await openBlockFile(image);
    t.after(() => file.close());
    const read = await learnByReading(file);
    assert.equal(read.kind, table);
    assert.deepEqual(
      read.partitions.map(({ number, start, size: length }) => ({ number, start, size: length })),
      partitions.map(({ number, start, size: length }) => ({ number, start, size: length })),
    );
    const expected = read.usedWithin(0, size);
    assert.ok(sum(expected) < 0.6 * size);
    const bytes = await readFile(image);
    for (const chunkSize of [4 * 1024 * 1024, 65536, 4096, 100_001]) {
      const streamed = new BlockMap();
      for (let at = 0; at < size; at += chunkSize) streamed.pass(bytes.subarray(at, at + chunkSize));
      assert.deepEqual(streamed.usedWithin(0, size), expected, `chunks of ${chunkSize} bytes`);
    }
  });
}

test('knows what matters of a stream by the time it has passed', async (t) => {
  const { path: image, size } = await makeOsImage(path.join(await temporaryFolder(t), 'image'), { dataSize: 64 });
  const bytes = await readFile(image);
  const map = new BlockMap();
  let used = 0;
  const chunkSize = 4 * 1024 * 1024;
  for (let at = 0; at < size; at += chunkSize) {
    map.pass(bytes.subarray(at, at + chunkSize));
    used += sum(map.usedWithin(at, Math.min(at + chunkSize, size)));
  }
  assert.ok(used < 0.5 * size, `${used} of ${size} bytes matter`);
});

test('lets everything matter where there is no partition table or it is damaged', () => {
  for (const first of [Buffer.alloc(8192, 0x20), Buffer.alloc(8192)]) {
    const map = new BlockMap();
    map.pass(first);
    assert.equal(map.kind, 'none');
    assert.deepEqual(map.usedWithin(0, 1e6), [{ start: 0, size: 1e6 }]);
  }
});

test('lets all of two partitions matter that overlap', async (t) => {
  const {
    path: image,
    size,
    partitions,
  } = await makeOsImage(path.join(await temporaryFolder(t), 'image'), { table: 'mbr' });
  const bytes = await readFile(image);
  // The second partition starts one MiB inside the first.
  const secondEntry = 446 + 16;
  bytes.writeUInt32LE(bytes.readUInt32LE(secondEntry + 8) - 2048, secondEntry + 8);
  const map = new BlockMap();
  map.pass(bytes);
  const [first, second] = partitions;
  assert.ok(first && second);
  assert.equal(sum(map.usedWithin(first.start, second.start)), second.start - first.start);
  assert.ok(sum(map.usedWithin(0, size)) < size, 'the other partitions are not affected');
});

test('says where a truncated image should end', async (t) => {
  const { path: image, partitions } = await makeOsImage(path.join(await temporaryFolder(t), 'image'));
  const map = new BlockMap();
  map.pass((await readFile(image)).subarray(0, 65536));
  const last = partitions.at(-1);
  assert.equal(map.partitionsEnd, last && last.start + last.size);
});
