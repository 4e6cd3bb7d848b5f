import assert from 'node:assert/strict';
import { mkdir, open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { openBlockFile } from '../../../src/lib/image/block-file.js';
import { headSize, recogniseFileSystem, type WhyAllUsed } from '../../../src/lib/image/file-systems.js';
import type { ByteRange } from '../../../src/lib/image/partition-table.js';
import { fillFile, checked } from '../../support/loop-device.js';
import { squashfsToolsMissing } from '../../support/programs.js';
import { seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

interface Found {
  readonly name: string | undefined;
  readonly why: WhyAllUsed | undefined;
  readonly unused: readonly ByteRange[];
}

/** What a file that stands for a partition is recognised as. */
async function recognise(file: string): Promise<Found> {
  const reader = await openBlockFile(file);
  try {
    const found = recogniseFileSystem(await reader.read(0, Math.min(headSize, reader.size)), reader.size);
    if (typeof found === 'string') return { name: undefined, why: found, unused: [] };
    const { name, unused } = found;
    if (typeof unused === 'string') return { name, why: unused, unused: [] };
    if (typeof unused !== 'function') return { name, why: undefined, unused };
    const ranges: ByteRange[] = [];
    const parser = unused((range) => ranges.push(range));
    let step = parser.next();
    while (step.done !== true) step = parser.next(await reader.read(step.value.start, step.value.size));
    return { name, why: step.value, unused: ranges };
  } finally {
    await reader.close();
  }
}

const sum = (ranges: readonly ByteRange[]) => ranges.reduce((all, { size }) => all + size, 0);

async function patch(file: string, offset: number, bytes: Uint8Array): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.write(bytes, 0, bytes.length, offset);
  await handle.close();
}

describe('FAT', () => {
  async function makeFat(t: TestContext, kibibytes: number, words: readonly string[]): Promise<string> {
    const folder = await temporaryFolder(t);
    const file = path.join(folder, 'partition');
    await checked(['mkfs.vfat', ...words, '-C', file, String(kibibytes)]);
    const random = seededRandom(3);
    for (let index = 0; index < 12; index += 1) {
      const name = path.join(folder, `file-${index}`);
      await writeFile(name, random.bytes(random.below(50_000)));
      await checked(['mcopy', '-i', file, name, '::/']);
    }
    for (const name of ['file-3', 'file-7']) await checked(['mdel', '-i', file, `::/${name}`]);
    return file;
  }

  for (const [name, kibibytes, words] of [
    ['fat12', 2048, ['-F', '12']],
    ['fat12', 8192, ['-F', '12', '-s', '16', '-f', '1', '-a']],
    ['fat16', 40960, ['-F', '16', '-s', '4', '-R', '7']],
    ['fat16', 900_000, ['-F', '16', '-s', '64', '-f', '1']],
    ['fat32', 81920, ['-F', '32', '-s', '1']],
    ['fat32', 400_000, ['-F', '32', '-s', '2', '-S', '1024']],
    ['fat32', 600_000, ['-F', '32', '-S', '4096', '-s', '1', '-f', '1']],
    ['fat32', 300_000, ['-F', '32', '-s', '1', '-R', '99']],
  ] as const) {
    test(`finds as many free clusters as fsck.fat in ${name} of ${kibibytes} KiB made with ${words.join(' ')}`, async (t) => {
      const file = await makeFat(t, kibibytes, words);
      const found = await recognise(file);
      assert.equal(found.name, name);
      assert.equal(found.why, undefined);
      const report = await checked(['fsck.fat', '-n', '-v', file]);
      const [, used, all] = /, (\d+)\/(\d+) clusters/.exec(report) ?? [];
      const clusterSize = Number(/(\d+) bytes per cluster/.exec(report)?.[1]);
      assert.equal(sum(found.unused), (Number(all) - Number(used)) * clusterSize);
    });
  }

  for (const [what, words, offset, value, why] of [
    ['that Windows or Linux had mounted', ['-F', '16'], 37, [1], 'unclean'],
    ['of 32 bits that Linux had mounted', ['-F', '32', '-s', '1'], 65, [1], 'unclean'],
    ['whose medium has faults', ['-F', '16'], 37, [2], 'unclean'],
    ['that Windows did not unmount', ['-F', '16', '-R', '1'], 512 + 2, [0xff, 0x7f], 'unclean'],
    ['whose table does not begin like one', ['-F', '16', '-R', '1'], 512, [0], 'damaged'],
  ] as const) {
    test(`calls nothing free in one ${what}`, async (t) => {
      const file = await makeFat(t, 40960, [...words, '-a']);
      await patch(file, offset, Uint8Array.from(value));
      assert.deepEqual({ ...(await recognise(file)), name: '' }, { name: '', why, unused: [] });
    });
  }

  test('calls nothing free in one that is larger than its partition', async (t) => {
    const file = await makeFat(t, 40960, ['-F', '16']);
    const handle = await open(file, 'r+');
    await handle.truncate(40960 * 1024 - 512);
    await handle.close();
    assert.equal((await recognise(file)).why, 'damaged');
  });
});

describe('squashfs', { skip: squashfsToolsMissing }, () => {
  const mebibyte = 1024 * 1024;

  async function makeSquashfs(t: TestContext, words: readonly string[]): Promise<{ file: string; end: number }> {
    const folder = await temporaryFolder(t);
    const tree = path.join(folder, 'tree');
    await mkdir(tree);
    await writeFile(path.join(tree, 'file'), seededRandom(1).bytes(700_000));
    const file = path.join(folder, 'partition');
    await checked(['mksquashfs', tree, file, '-quiet', '-no-progress', ...words]);
    const report = await checked(['unsquashfs', '-s', file]);
    const end = Number(/Filesystem size (\d+) bytes/.exec(report)?.[1]);
    const handle = await open(file, 'r+');
    await handle.truncate(12 * mebibyte);
    await handle.close();
    return { file, end: Math.ceil(end / 4096) * 4096 };
  }

  for (const words of [[], ['-comp', 'xz', '-b', '65536'], ['-comp', 'zstd', '-nopad', '-no-xattrs']]) {
    test(`leaves out what lies far behind one made with "${words.join(' ')}"`, async (t) => {
      const { file, end } = await makeSquashfs(t, words);
      const start = end + mebibyte;
      assert.deepEqual(await recognise(file), {
        name: 'squashfs',
        why: undefined,
        unused: [{ start, size: 11 * mebibyte - start }],
      });
    });
  }

  test('leaves out nothing where something follows it', async (t) => {
    const { file, end } = await makeSquashfs(t, []);
    await patch(file, end + mebibyte - 1, Uint8Array.of(1));
    assert.deepEqual(await recognise(file), { name: 'squashfs', why: 'followed', unused: [] });
  });

  test('does not believe one that says it is longer than its partition, or is of another version', async (t) => {
    const { file } = await makeSquashfs(t, []);
    await patch(file, 28, Uint8Array.of(3));
    assert.equal((await recognise(file)).why, 'features');
    await patch(file, 28, Uint8Array.of(4));
    await patch(file, 40 + 3, Uint8Array.of(1));
    assert.equal((await recognise(file)).why, 'damaged');
  });
});

describe('swap', () => {
  async function makeSwap(t: TestContext, words: readonly string[]): Promise<string> {
    const file = path.join(await temporaryFolder(t), 'partition');
    await fillFile(file, 8 * 1024 * 1024 + 4096, 0xaa);
    await checked(['mkswap', '--quiet', ...words, file]);
    return file;
  }

  test('leaves out all but its header', async (t) => {
    const file = await makeSwap(t, ['--pagesize', '4096', '--label', 'swap']);
    assert.deepEqual(await recognise(file), {
      name: 'swap',
      why: undefined,
      unused: [{ start: 65536, size: 8 * 1024 * 1024 + 4096 - 65536 }],
    });
  });

  test('knows pages of other sizes', async (t) => {
    const file = await makeSwap(t, ['--pagesize', '65536']);
    assert.deepEqual((await recognise(file)).unused, [{ start: 65536, size: 8 * 1024 * 1024 - 65536 }]);
  });

  for (const [what, offset, text, why] of [
    ['holds a hibernated system', 4086, 'S1SUSPEND\0', 'hibernated'],
    ['is of another version', 1024, '\x02', 'features'],
    ['says that it is longer than its partition', 1030, '\x01', 'damaged'],
  ] as const) {
    test(`leaves out nothing of one that ${what}`, async (t) => {
      const file = await makeSwap(t, ['--pagesize', '4096']);
      await patch(file, offset, Buffer.from(text, 'latin1'));
      assert.deepEqual(await recognise(file), { name: 'swap', why, unused: [] });
    });
  }
});

describe('other content', () => {
  async function partitionWith(t: TestContext, marks: readonly (readonly [number, string])[]): Promise<Found> {
    const file = path.join(await temporaryFolder(t), 'partition');
    await fillFile(file, 1024 * 1024, 0);
    for (const [offset, text] of marks) await patch(file, offset, Buffer.from(text, 'latin1'));
    return recognise(file);
  }

  test('is used in full where nothing of it is known', async (t) => {
    assert.deepEqual(await partitionWith(t, []), { name: undefined, why: 'unknown', unused: [] });
  });

  test('is used in full where it is known by name only', async (t) => {
    for (const [name, mark] of [
      ['crypto_LUKS', [0, 'LUKS\xba\xbe']],
      ['btrfs', [0x10040, '_BHRfS_M']],
      ['LVM2_member', [512, 'LABELONE']],
      ['ntfs', [3, 'NTFS    ']],
    ] as const) {
      assert.deepEqual(await partitionWith(t, [mark]), { name, why: 'not-understood', unused: [] });
    }
  });

  test('is used in full where it looks like two things', async (t) => {
    const file = path.join(await temporaryFolder(t), 'partition');
    await fillFile(file, 32 * 1024 * 1024, 0);
    await checked(['mke2fs', '-q', '-F', '-t', 'ext4', file]);
    assert.equal((await recognise(file)).name, 'ext4');
    await patch(file, 0, Buffer.from('LUKS\xba\xbe', 'latin1'));
    assert.deepEqual(await recognise(file), { name: undefined, why: 'ambiguous', unused: [] });
  });
});

test('a partition smaller than any superblock is used in full', () => {
  for (const size of [1, 511, 512, 1024, 2047, 4096, 65536]) {
    for (const fill of [0, 0xff, 0xaa]) assert.equal(recogniseFileSystem(Buffer.alloc(size, fill), size), 'unknown');
  }
});
