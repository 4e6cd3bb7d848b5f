import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { Failure } from '../../../src/lib/failure/failure.js';
import { openBlockFile } from '../../../src/lib/image/block-file.js';
import { readExt4File, readExt4Label } from '../../../src/lib/image/ext4-reader.js';
import { runChecked } from '../../../src/lib/platform/child-process.js';
import { rounds } from '../../support/campaign.js';
import { seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

async function makeExt4(t: TestContext, tree: string, options: readonly string[]) {
  const disk = path.join(await temporaryFolder(t), 'ext4.img');
  const words = ['-q', '-F', '-L', 'flash-rootA', '-d', tree, ...options, disk, '32M'];
  await runChecked('making ext4', 'mke2fs', words);
  const file = await openBlockFile(disk);
  t.after(() => file.close());
  return file;
}

describe('reading ext4', () => {
  const kinds: readonly (readonly [string, readonly string[]])[] = [
    ['as mke2fs makes it', ['-t', 'ext4']],
    ['with blocks of 1024 bytes', ['-t', 'ext4', '-b', '1024']],
    ['without 64-bit block numbers', ['-t', 'ext4', '-O', '^64bit']],
    ['with inodes of 128 bytes', ['-t', 'ext4', '-I', '128']],
  ];
  for (const [name, options] of kinds) {
    test(`finds files through folders and links, ${name}`, async (t) => {
      const tree = await temporaryFolder(t);
      const large = seededRandom(3).bytes(3_000_000);
      await mkdir(path.join(tree, 'etc', 'many'), { recursive: true });
      await mkdir(path.join(tree, 'usr', 'lib'), { recursive: true });
      await writeFile(path.join(tree, 'usr/lib/os-release'), 'VERSION="1.2.3"\n'.repeat(20));
      await writeFile(path.join(tree, 'usr/lib/large'), large);
      await symlink('../usr/lib/os-release', path.join(tree, 'etc/os-release'));
      await symlink('/usr/lib', path.join(tree, 'lib'));
      await symlink('loop', path.join(tree, 'loop'));
      await symlink(`/${'./'.repeat(60)}usr/lib`, path.join(tree, 'long-link'));
      for (let number = 0; number < 300; number += 1)
        await writeFile(path.join(tree, 'etc/many', `file-${number}`), 'x');
      const reader = await makeExt4(t, tree, options);
      assert.equal(await readExt4Label(reader), 'flash-rootA');
      assert.equal(String(await readExt4File(reader, '/etc/os-release')).slice(0, 15), 'VERSION="1.2.3"');
      assert.ok((await readExt4File(reader, 'lib/large'))?.equals(large));
      assert.ok((await readExt4File(reader, 'long-link/large'))?.equals(large));
      assert.equal(String(await readExt4File(reader, '/etc/many/file-299')), 'x');
      assert.equal(await readExt4File(reader, '/etc/absent'), undefined);
      assert.equal(await readExt4File(reader, '/etc'), undefined);
      assert.equal(await readExt4File(reader, '/etc/os-release/below'), undefined);
      await assert.rejects(readExt4File(reader, '/loop'), Failure);
    });
  }

  test('says that it cannot read files without extents, as on ext2', async (t) => {
    const tree = await temporaryFolder(t);
    await writeFile(path.join(tree, 'file'), 'x'.repeat(5000));
    const reader = await makeExt4(t, tree, ['-t', 'ext2']);
    assert.equal(await readExt4Label(reader), 'flash-rootA');
    await assert.rejects(
      readExt4File(reader, '/file'),
      (error: unknown) => error instanceof Failure && error.code === 'file-system-unsupported',
    );
  });

  test('is undefined where there is no ext4', async () => {
    const reader = { size: 4096, read: (_: number, length: number) => Promise.resolve(Buffer.alloc(length)) };
    assert.equal(await readExt4File(reader, '/etc/os-release'), undefined);
  });

  test('fails, and does not hang or crash, however it is damaged', async (t) => {
    const tree = await temporaryFolder(t);
    await mkdir(path.join(tree, 'etc'));
    await writeFile(path.join(tree, 'etc/os-release'), 'VERSION="1.2.3"\n'.repeat(20));
    const file = await makeExt4(t, tree, ['-t', 'ext4']);
    const good = await file.read(0, file.size);
    const random = seededRandom(11);
    for (let round = 0; round < rounds(300, 10_000); round += 1) {
      const hits = new Map(Array.from({ length: 8 }, () => [1024 + random.below(200_000), random.below(256)]));
      // The superblock and the inodes of the root folder are where damage matters.
      hits.set(1024 + random.below(260), random.below(256));
      const reader = {
        size: good.length,
        read: (offset: number, length: number) => {
          if (offset + length > good.length) return Promise.reject(new Failure('failed', 'unexpected-end', 'end'));
          const part = Buffer.from(good.subarray(offset, offset + length));
          for (const [at, value] of hits) if (at >= offset && at < offset + length) part[at - offset] = value;
          return Promise.resolve(part);
        },
      };
      await readExt4File(reader, '/etc/os-release').catch((error: unknown) => {
        assert.ok(error instanceof Failure, String(error));
      });
    }
  });
});
