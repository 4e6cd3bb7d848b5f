import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { openBlockFile } from '../../../src/lib/image/block-file.js';
import { recogniseExt } from '../../../src/lib/image/ext-allocation.js';
import { headSize } from '../../../src/lib/image/file-systems.js';
import type { ByteRange } from '../../../src/lib/image/partition-table.js';
import { attachLoopDevice, checked, fillFile, loopDevicesMissing } from '../../support/loop-device.js';
import { seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

/** Makes a file system with a few files in it. */
async function makeExt(t: TestContext, words: readonly string[], size: string): Promise<string> {
  const folder = await temporaryFolder(t);
  const tree = path.join(folder, 'tree');
  await mkdir(tree);
  const random = seededRandom(7);
  for (let index = 0; index < 40; index += 1) {
    await writeFile(path.join(tree, `file-${index}`), random.bytes(random.below(400_000)));
  }
  const file = path.join(folder, 'partition');
  await checked(['mke2fs', '-q', '-F', ...words, '-d', tree, file, size]);
  return file;
}

/** What the parser says is free, as pairs of first and last block. */
async function freeAsParsed(file: string, blockSize: number): Promise<string[]> {
  const reader = await openBlockFile(file);
  try {
    const free: ByteRange[] = [];
    const unused = recogniseExt(await reader.read(0, headSize), reader.size)?.unused;
    if (typeof unused !== 'function') return [];
    const parser = unused((range) => free.push(range));
    for (let step = parser.next(); step.done !== true;) {
      step = parser.next(await reader.read(step.value.start, step.value.size));
    }
    return free.map(({ start, size }) => blocksText(start / blockSize, (start + size) / blockSize - 1));
  } finally {
    await reader.close();
  }
}

/** What dumpe2fs says is free; of a cluster it names the first block. */
async function freeAsDumped(file: string): Promise<string[]> {
  const dump = await checked(['dumpe2fs', file]);
  const number = (name: string) => Number(new RegExp(`^${name}: +(\\d+)$`, 'm').exec(dump)?.[1] ?? 0);
  const clusterBlocks = Math.max(1, number('Cluster size') / number('Block size'));
  return [...dump.matchAll(/^ {2}Free blocks: (.+)$/gm)].flatMap(([, list = '']) =>
    list.split(', ').map((range) => {
      const [first = '', last = first] = range.split('-');
      return blocksText(Number(first), Number(last) + clusterBlocks - 1);
    }),
  );
}

function blocksText(first: number, last: number): string {
  return first === last ? String(first) : `${first}-${last}`;
}

const kinds: readonly (readonly [name: string, words: readonly string[], size: string, blockSize: number])[] = [
  ['ext2 with blocks of 1 kB', ['-t', 'ext2', '-b', '1024'], '100m', 1024],
  ['ext2 without sparse_super', ['-t', 'ext2', '-b', '1024', '-O', '^sparse_super,^resize_inode'], '60m', 1024],
  ['ext3', ['-t', 'ext3', '-b', '4096'], '300m', 4096],
  ['ext4 as made today', ['-t', 'ext4', '-b', '4096'], '600m', 4096],
  ['ext4 with blocks of 1 kB', ['-t', 'ext4', '-b', '1024'], '200m', 1024],
  ['ext4 with blocks of 2 kB', ['-t', 'ext4', '-b', '2048'], '200m', 2048],
  ['ext4 without flex_bg', ['-t', 'ext4', '-b', '1024', '-O', '^flex_bg'], '200m', 1024],
  ['ext4 with uninit_bg', ['-t', 'ext4', '-b', '1024', '-O', '^metadata_csum,uninit_bg,^64bit'], '200m', 1024],
  ['ext4 with meta_bg', ['-t', 'ext4', '-b', '1024', '-O', 'meta_bg,^resize_inode'], '500m', 1024],
  ['ext4 with clusters', ['-t', 'ext4', '-b', '4096', '-O', 'bigalloc', '-C', '65536'], '900m', 4096],
  ['ext4 with blocks of 1 kB and clusters', ['-t', 'ext4', '-b', '1024', '-O', 'bigalloc', '-C', '4096'], '200m', 1024],
  ['ext4 with small clusters', ['-t', 'ext4', '-b', '2048', '-O', 'bigalloc,^flex_bg', '-C', '4096'], '400m', 2048],
  ['ext4 with blocks of 64 kB', ['-t', 'ext4', '-b', '65536'], '600m', 65536],
  ['ext4 without a journal', ['-t', 'ext4', '-b', '1024', '-O', '^has_journal'], '100m', 1024],
  ['ext4 with all metadata at its start', ['-t', 'ext4', '-b', '1024', '-E', 'packed_meta_blocks=1'], '300m', 1024],
  ['ext4 with sparse_super2', ['-t', 'ext4', '-b', '1024', '-O', 'sparse_super2,^resize_inode'], '200m', 1024],
];

for (const [name, words, size, blockSize] of kinds) {
  test(`finds what dumpe2fs finds free in ${name}`, async (t) => {
    const file = await makeExt(t, words, size);
    const dumped = await freeAsDumped(file);
    assert.ok(dumped.length > 0);
    assert.deepEqual(await freeAsParsed(file, blockSize), dumped);
  });
}

for (const [name, request] of [
  ['was not cleanly unmounted', 'ssv state 0'],
  ['has errors', 'ssv state 3'],
  ['has a journal to be replayed', 'feature needs_recovery'],
  ['has a feature nobody knows', 'ssv feature_incompat 0x80000040'],
] as const) {
  test(`calls nothing free in a file system that ${name}`, async (t) => {
    const file = await makeExt(t, ['-t', 'ext4', '-b', '4096'], '100m');
    await checked(['debugfs', '-w', '-R', request, file]);
    assert.deepEqual(await freeAsParsed(file, 4096), []);
  });
}

test('calls nothing free in a group whose bitmap and descriptor disagree', async (t) => {
  const file = await makeExt(t, ['-t', 'ext4', '-b', '1024', '-O', '^flex_bg,^metadata_csum,^uninit_bg'], '60m');
  const before = await freeAsDumped(file);
  await checked(['debugfs', '-w', '-R', 'set_bg 1 free_blocks_count 17', file]);
  const after = await freeAsParsed(file, 1024);
  const ofGroup = (list: readonly string[], group: number) =>
    list.filter((range) => Math.floor((Number(range.split('-')[0]) - 1) / 8192) === group);
  assert.deepEqual(ofGroup(after, 1), []);
  assert.deepEqual(ofGroup(after, 2), ofGroup(before, 2));
});

test('finds what dumpe2fs finds free in one whose journal is elsewhere', { skip: loopDevicesMissing }, async (t) => {
  const folder = await temporaryFolder(t);
  const [file, journalFile] = [path.join(folder, 'partition'), path.join(folder, 'journal')];
  await fillFile(journalFile, 8 * 1024 * 1024, 0);
  const journal = await attachLoopDevice(t, journalFile);
  await checked(['mke2fs', '-q', '-F', '-b', '4096', '-O', 'journal_dev', journal.path]);
  await checked(['mke2fs', '-q', '-F', '-t', 'ext4', '-b', '4096', '-J', `device=${journal.path}`, file, '100m']);
  assert.deepEqual(await freeAsParsed(file, 4096), await freeAsDumped(file));
  assert.deepEqual(await freeAsParsed(journalFile, 4096), [], 'all of a journal is used');
});
