import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { Failure } from '../../../src/lib/failure/failure.js';
import { type Bmap, parseBmap } from '../../../src/lib/image/bmap.js';
import { bmapCheck } from '../../../src/lib/image/bmap-check.js';
import { rounds } from '../../support/campaign.js';
import { checked } from '../../support/loop-device.js';
import { bmaptoolMissing } from '../../support/programs.js';
import { seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const blockSize = 4096;

/** A sparse file and its bmap as bmaptool makes it. */
async function makeSparse(t: TestContext, size: number): Promise<{ image: Buffer; bmap: Buffer }> {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'image');
  await checked(['truncate', '-s', String(size), file]);
  const random = seededRandom(size);
  for (let at = random.below(50_000); at < size; at += random.below(400_000)) {
    const piece = path.join(folder, 'piece');
    await writeFile(piece, random.bytes(Math.min(1 + random.below(90_000), size - at)));
    await checked(['dd', `if=${piece}`, `of=${file}`, 'conv=notrunc', `seek=${at}`, 'oflag=seek_bytes', 'status=none']);
  }
  await checked(['bmaptool', '--quiet', 'create', '-o', `${file}.bmap`, file]);
  return { image: await readFile(file), bmap: await readFile(`${file}.bmap`) };
}

/** A bmap of an older version, as bmaptool 2 and 3 wrote them. */
function oldBmap(version: string, ranges: string, checksumElement = ''): Buffer {
  const text = (checksum: string) =>
    [
      '<?xml version="1.0" ?>',
      '<!-- This file contains the block map -->',
      '',
      `<bmap version="${version}">`,
      '    <ImageSize> 20000 </ImageSize>',
      '    <BlockSize> 4096 </BlockSize>',
      '    <BlocksCount> 5 </BlocksCount>',
      '    <MappedBlocksCount> 3     </MappedBlocksCount>',
      checksumElement.replace('%', checksum),
      '    <!-- The block map -->',
      '    <BlockMap>',
      ranges,
      '    </BlockMap>',
      '</bmap>',
      '',
    ].join('\n');
  const sum = createHash('sha1')
    .update(text('0'.repeat(40)))
    .digest('hex');
  return Buffer.from(text(sum));
}

const codeOf = (code: string) => (error: unknown) => error instanceof Failure && error.code === code;

/** Gives an image to the check of a bmap in pieces of random sizes. */
function check(bmap: Bmap, image: Buffer, seed: number): void {
  const random = seededRandom(seed);
  const one = bmapCheck(bmap, { name: 'image', size: undefined, format: 'gzip' });
  for (let at = 0; at < image.length;) {
    const piece = image.subarray(at, at + 1 + random.below(300_000));
    one.pass(at, piece);
    at += piece.length;
  }
  one.finish(image.length);
}

test('reads what bmaptool writes, also of images with an odd size', { skip: bmaptoolMissing }, async (t) => {
  for (const size of [1, 4096, 1_000_000, 3_145_728, 2_000_001]) {
    const made = await makeSparse(t, size);
    const bmap = parseBmap(made.bmap, 'image.bmap');
    assert.equal(bmap.version, '2.0');
    assert.equal(bmap.imageSize, size);
    assert.equal(bmap.algorithm, 'sha256');
    for (const range of bmap.ranges) {
      const bytes = made.image.subarray(range.start, range.start + range.size);
      assert.equal(bytes.length, range.size);
      assert.equal(createHash('sha256').update(bytes).digest('hex'), range.checksum);
    }
    for (let seed = 0; seed < rounds(5, 100); seed += 1) check(bmap, made.image, seed);
  }
});

test('finds every changed byte in a mapped range, and none outside', { skip: bmaptoolMissing }, async (t) => {
  const made = await makeSparse(t, 2_000_001);
  const bmap = parseBmap(made.bmap, 'image.bmap');
  const random = seededRandom(1);
  for (let round = 0; round < rounds(30, 500); round += 1) {
    const at = random.below(made.image.length);
    const image = Buffer.from(made.image);
    image.writeUInt8(image.readUInt8(at) ^ (1 << random.below(8)), at);
    const isMapped = bmap.ranges.some(({ start, size }) => at >= start && at < start + size);
    if (isMapped)
      assert.throws(
        () => {
          check(bmap, image, round);
        },
        codeOf('bmap-mismatch'),
        `byte ${at}`,
      );
    else check(bmap, image, round);
  }
});

test(
  'refuses an image of another size, before it is read where its size is known',
  { skip: bmaptoolMissing },
  async (t) => {
    const made = await makeSparse(t, 1_000_000);
    const bmap = parseBmap(made.bmap, 'image.bmap');
    assert.throws(() => {
      check(bmap, made.image.subarray(0, 999_999), 1);
    }, codeOf('bmap-mismatch'));
    assert.throws(() => {
      check(bmap, Buffer.concat([made.image, Buffer.alloc(1)]), 1);
    }, codeOf('bmap-mismatch'));
    assert.throws(() => bmapCheck(bmap, { name: 'image', size: 5, format: 'raw' }), codeOf('bmap-mismatch'));
    bmapCheck(bmap, { name: 'image', size: 5, format: 'zstd' });
  },
);

test('finds damage of a bmap itself', { skip: bmaptoolMissing }, async (t) => {
  const { bmap } = await makeSparse(t, 1_000_000);
  const random = seededRandom(4);
  for (let round = 0; round < rounds(200, 5000); round += 1) {
    const changed = Buffer.from(bmap);
    const at = random.below(bmap.length);
    changed.writeUInt8(changed.readUInt8(at) ^ (1 << random.below(8)), at);
    assert.throws(
      () => parseBmap(changed, 'image.bmap'),
      (error) => codeOf('bmap-damaged')(error) || codeOf('bmap-unsupported')(error),
    );
    assert.throws(() => parseBmap(bmap.subarray(0, at), 'image.bmap'), codeOf('bmap-damaged'));
  }
});

test('reads version 1.2, which has no checksums, and 1.3, which has SHA-1', () => {
  const plain = parseBmap(oldBmap('1.2', '<Range> 0-1 </Range>\n<Range> 4-4 </Range>'), 'old.bmap');
  assert.deepEqual(plain.ranges, [
    { start: 0, size: 2 * blockSize, checksum: undefined },
    { start: 4 * blockSize, size: 20000 - 4 * blockSize, checksum: undefined },
  ]);
  assert.equal(plain.algorithm, undefined);
  const sha1 = createHash('sha1')
    .update(Buffer.alloc(3 * blockSize))
    .digest('hex');
  const summed = parseBmap(
    oldBmap('1.3', `<Range sha1="${sha1}"> 1-3 </Range>`, '<BmapFileSHA1> % </BmapFileSHA1>'),
    'old.bmap',
  );
  assert.equal(summed.algorithm, 'sha1');
  check(summed, Buffer.alloc(20000), 1);
  assert.throws(() => {
    check(summed, Buffer.alloc(20000, 1), 1);
  }, codeOf('bmap-mismatch'));
});

for (const [what, file, code] of [
  ['has ranges in disorder', oldBmap('1.2', '<Range> 3-4 </Range><Range> 0 </Range>'), 'bmap-damaged'],
  ['has ranges that overlap', oldBmap('1.2', '<Range> 0-1 </Range><Range> 1 </Range>'), 'bmap-damaged'],
  ['has a range behind the end', oldBmap('1.2', '<Range> 4-6 </Range>'), 'bmap-damaged'],
  ['has a range that runs backwards', oldBmap('1.2', '<Range> 4-2 </Range>'), 'bmap-damaged'],
  ['maps fewer blocks than it says', oldBmap('1.2', '<Range> 0-1 </Range>'), 'bmap-damaged'],
  [
    'has a checksum of its own that is wrong',
    oldBmap('1.3', '<Range> 1-3 </Range>', '<BmapFileSHA1> 00% </BmapFileSHA1>'),
    'bmap-damaged',
  ],
  ['lacks a checksum of its own', oldBmap('1.3', '<Range> 1-3 </Range>'), 'bmap-damaged'],
  ['has entities', oldBmap('1.2', '<Range> &three; </Range>'), 'bmap-damaged'],
  ['is of a version to come', oldBmap('3.0', '<Range> 1-3 </Range>'), 'bmap-unsupported'],
  [
    'has checksums of an unknown kind',
    oldBmap('2.0', '<Range> 1-3 </Range>', '<ChecksumType> crc32 </ChecksumType>'),
    'bmap-unsupported',
  ],
  ['is empty', Buffer.alloc(0), 'bmap-damaged'],
  ['is an image', Buffer.alloc(100_000, 7), 'bmap-damaged'],
  ['is wrapped in a signature', Buffer.from('-----BEGIN PGP SIGNED MESSAGE-----\n'), 'bmap-unsupported'],
] as const) {
  test(`refuses a bmap that ${what}`, () => {
    assert.throws(() => parseBmap(file, 'x.bmap'), codeOf(code));
  });
}
