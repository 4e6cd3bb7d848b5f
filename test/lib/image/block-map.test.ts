import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { type BlockFile, openBlockFile } from '../../../src/lib/image/block-file.js';
import { BlockMap } from '../../../src/lib/image/block-map.js';
import { rounds } from '../../support/campaign.js';
import { makeOsImage } from '../../support/os-image.js';
import { seededRandom } from '../../support/seeded-random.js';
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

test('ends with the image also where that is free space within a block', () => {
  const start = 1024 * 1024;
  const sectors = 11;
  const bytes = Buffer.alloc(start + sectors * 512);
  bytes.writeUInt16LE(0xaa55, 510);
  bytes.writeUInt8(0x01, 446 + 4);
  bytes.writeUInt32LE(start / 512, 446 + 8);
  bytes.writeUInt32LE(sectors, 446 + 12);
  const fat = bytes.subarray(start);
  fat.writeUInt8(0xeb, 0);
  fat.writeUInt16LE(512, 11);
  // Sectors of a cluster; in front of the data; tables; then entries of the root folder.
  fat.set([1, 1, 0, 1, 16, 0], 13);
  fat.writeUInt16LE(sectors, 19);
  fat.writeUInt8(0xf8, 21);
  fat.writeUInt16LE(1, 22);
  fat.writeUInt16LE(0xaa55, 510);
  // All clusters belong to something but the last one.
  fat.fill(0xff, 512, 1024);
  fat.writeUInt8(0xf8, 512);
  fat.writeUInt16LE(0x000f, 512 + 13);
  const map = new BlockMap();
  map.pass(bytes);
  assert.deepEqual(
    map.spaces.map((space) => [space.fileSystem, space.whyAllUsed]),
    [['fat12', undefined]],
  );
  assert.deepEqual(map.usedWithin(0, bytes.length), [{ start: 0, size: bytes.length }]);
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

/** Bytes that make numbers very large, very small or negative, or just others. */
const oddities = [0, 0xff, 0x7f, 0x80, 0x01, 0x53, 0xaa];

test('lets no damage stop it, and keeps its runs in order and within the image', async (t) => {
  const folder = await temporaryFolder(t);
  const made = await Promise.all([
    makeOsImage(path.join(folder, 'gpt'), { table: 'gpt', fat: 32 }),
    makeOsImage(path.join(folder, 'mbr'), { table: 'mbr', fat: 12 }),
  ]);
  const images = await Promise.all(made.map(async (one) => ({ ...one, bytes: await readFile(one.path) })));
  const random = seededRandom(11);
  for (let round = 0; round < rounds(40, 600); round += 1) {
    const { bytes: whole, partitions, size } = random.pick(images);
    const bytes = Buffer.from(whole);
    const starts = [0, 512, ...partitions.map(({ start }) => start), ...partitions.map(({ start }) => start + 1024)];
    for (let count = 1 + random.below(12); count > 0; count -= 1) {
      const at = random.pick(starts) + random.below(random.pick([100, 1024, 8192]));
      bytes.fill(random.pick([...oddities, random.below(256)]), at, at + random.pick([1, 2, 4, 8]));
    }
    const streamed = new BlockMap();
    for (let at = 0; at < size; at += 2 * 1024 * 1024) streamed.pass(bytes.subarray(at, at + 2 * 1024 * 1024));
    const read = new BlockMap();
    for (let range = read.wanted; range !== undefined; range = read.wanted) {
      const isThere = range.start + range.size <= size;
      read.answer(isThere ? bytes.subarray(range.start, range.start + range.size) : undefined);
    }
    for (const map of [streamed, read]) {
      let end = 0;
      for (const run of map.usedWithin(0, size)) {
        assert.ok(run.start >= end && run.size > 0 && run.start % 4096 === 0, `round ${round}: ${JSON.stringify(run)}`);
        end = run.start + run.size;
      }
      assert.ok(end <= size);
    }
  }
});
