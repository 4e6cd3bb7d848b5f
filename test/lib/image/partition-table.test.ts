import assert from 'node:assert/strict';
import { truncate } from 'node:fs/promises';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { Failure } from '../../../src/lib/failure/failure.js';
import { openBlockFile } from '../../../src/lib/image/block-file.js';
import { readPartitionTable } from '../../../src/lib/image/partition-table.js';
import { runChecked } from '../../../src/lib/platform/child-process.js';
import { makeOsImage } from '../../support/os-image.js';
import { rounds } from '../../support/campaign.js';
import { seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const withoutRoot = process.getuid?.() === 0 ? false : 'a loop device needs root';

async function tableOf(t: TestContext, imagePath: string) {
  const file = await openBlockFile(imagePath);
  t.after(() => file.close());
  return readPartitionTable(file);
}

async function emptyFile(t: TestContext, size: number): Promise<string> {
  const file = path.join(await temporaryFolder(t), 'disk.img');
  await runChecked('making a file', 'truncate', ['-s', String(size), file]);
  return file;
}

/** What libblkid says about an image, in bytes; an extended container counts as a kilobyte there and is left out. */
async function asOthersSee(imagePath: string): Promise<{ start: number; size: number }[]> {
  const list = await runChecked('listing', 'partx', ['-g', '-r', '-o', 'START,SECTORS,TYPE', imagePath]);
  return list
    .trim()
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , type]) => type !== '0xf')
    .map(([start, sectors]) => ({ start: Number(start) * 512, size: Number(sectors) * 512 }));
}

async function overwrite(imagePath: string, offset: number, data: Uint8Array): Promise<void> {
  const file = await openBlockFile(imagePath, { writable: true });
  await file.write(offset, data);
  await file.close();
}

describe('reading a partition table', () => {
  test('numbers and names GPT partitions as util-linux does', async (t) => {
    const image = await makeOsImage(path.join(await temporaryFolder(t), 'gpt.img'));
    assert.match(await runChecked('checking', 'sgdisk', ['--verify', image.path]), /No problems found/);
    const table = await tableOf(t, image.path);
    assert.equal(table.kind, 'gpt');
    assert.equal(table.end, image.size);
    assert.deepEqual(
      table.partitions.map(({ start, size }) => ({ start, size })),
      await asOthersSee(image.path),
    );
    assert.deepEqual(
      table.partitions.map(({ number, name }) => [number, name]),
      [
        [1, 'resin-boot'],
        [2, 'resin-rootA'],
        [3, 'resin-rootB'],
        [4, 'resin-state'],
        [5, 'resin-data'],
      ],
    );
    assert.equal(table.partitions[0]?.type, 'C12A7328-F81F-11D2-BA4B-00A0C93EC93B');
    assert.deepEqual(table.regions, [
      { start: 0, size: 1024 },
      { start: 1024, size: 16384 },
      { start: image.size - 512 - 16384, size: 16384 },
      { start: image.size - 512, size: 512 },
    ]);
  });

  test('follows the chain of logical partitions of an MBR', async (t) => {
    const image = await makeOsImage(path.join(await temporaryFolder(t), 'mbr.img'), { table: 'mbr' });
    const table = await tableOf(t, image.path);
    assert.equal(table.kind, 'mbr');
    assert.deepEqual(
      table.partitions.map(({ start, size }) => ({ start, size })),
      await asOthersSee(image.path),
    );
    assert.deepEqual(
      table.partitions.map(({ number, type }) => [number, type]),
      [
        [1, '0x0e'],
        [2, '0x83'],
        [3, '0x83'],
        [5, '0x83'],
        [6, '0x83'],
      ],
    );
    assert.equal(table.regions.length, 3);
  });

  test('reads the backup GPT when the primary is damaged, and says so', async (t) => {
    const image = await makeOsImage(path.join(await temporaryFolder(t), 'gpt.img'));
    const before = await tableOf(t, image.path);
    await overwrite(image.path, 600, Buffer.alloc(16, 0xff));
    const after = await tableOf(t, image.path);
    assert.deepEqual(after.partitions, before.partitions);
    assert.deepEqual(after.regions, before.regions);
    assert.match(after.damage ?? '', /backup/);
  });

  test('notices damaged GPT entries by their checksum', async (t) => {
    const image = await makeOsImage(path.join(await temporaryFolder(t), 'gpt.img'));
    await overwrite(image.path, 1024 + 32, Buffer.from([9]));
    assert.match((await tableOf(t, image.path)).damage ?? '', /primary/);
  });

  test('fails when both copies of the GPT are gone', async (t) => {
    const image = await makeOsImage(path.join(await temporaryFolder(t), 'gpt.img'));
    await overwrite(image.path, 512, Buffer.alloc(512));
    await truncate(image.path, image.size - 4096);
    await assert.rejects(tableOf(t, image.path), isDamaged);
  });

  test('reads a GPT that counts in sectors of 4096 bytes', { skip: withoutRoot }, async (t) => {
    const disk = await emptyFile(t, 64 * 1024 * 1024);
    const loop = await runChecked('attaching', 'losetup', ['--find', '--show', '--sector-size', '4096', disk]);
    try {
      await runChecked('partitioning', 'sgdisk', ['-n', '1:1024:3071', '-c', '1:resin-boot', loop.trim()]);
    } finally {
      await runChecked('detaching', 'losetup', ['--detach', loop.trim()]);
    }
    const table = await tableOf(t, disk);
    assert.equal(table.sectorSize, 4096);
    assert.deepEqual(
      table.partitions.map(({ start, size, name }) => ({ start, size, name })),
      [{ start: 1024 * 4096, size: 2048 * 4096, name: 'resin-boot' }],
    );
  });

  test('numbers GPT partitions by their slot when slots are skipped', async (t) => {
    const disk = await emptyFile(t, 16 * 1024 * 1024);
    await runChecked('partitioning', 'sgdisk', ['-n', '3:2048:+1M', '-n', '12:8192:+1M', disk]);
    const numbers = (await tableOf(t, disk)).partitions.map((one) => one.number);
    assert.deepEqual(numbers, [3, 12]);
  });

  for (const bits of ['12', '16', '32']) {
    test(`finds no table on a bare FAT${bits} file system`, async (t) => {
      const disk = await emptyFile(t, 40 * 1024 * 1024);
      await runChecked('making a file system', 'mkfs.vfat', ['-F', bits, disk]);
      assert.equal((await tableOf(t, disk)).kind, 'none');
    });
  }

  test('finds no table on an empty disk, in a short file and in random text', async (t) => {
    assert.equal((await tableOf(t, await emptyFile(t, 1024 * 1024))).kind, 'none');
    assert.equal((await tableOf(t, await emptyFile(t, 100))).kind, 'none');
    const disk = await emptyFile(t, 4096);
    await overwrite(disk, 0, Buffer.alloc(4096, 'not an image '));
    assert.equal((await tableOf(t, disk)).kind, 'none');
  });

  test('fails on a chain of logical partitions that leads back to itself, instead of following it for ever', async (t) => {
    const image = await makeOsImage(path.join(await temporaryFolder(t), 'mbr.img'), { table: 'mbr' });
    const second = (await tableOf(t, image.path)).regions[2];
    assert.ok(second);
    // The second entry of the last record: type 5, back to the first record of the container.
    const link = Buffer.from([0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    await overwrite(image.path, second.start + 446 + 16, link);
    await assert.rejects(tableOf(t, image.path), isDamaged);
  });

  test('fails on a chain of logical partitions that leads past the end', async (t) => {
    const image = await makeOsImage(path.join(await temporaryFolder(t), 'mbr.img'), { table: 'mbr' });
    await truncate(image.path, 40 * 1024 * 1024);
    await assert.rejects(tableOf(t, image.path), isDamaged);
  });

  for (const table of ['gpt', 'mbr'] as const) {
    test(`fails, and does not hang or crash, however a damaged ${table} looks`, async (t) => {
      const image = await makeOsImage(path.join(await temporaryFolder(t), 'disk.img'), { table });
      const { regions } = await tableOf(t, image.path);
      const file = await openBlockFile(image.path);
      t.after(() => file.close());
      const random = seededRandom(17);
      for (let round = 0; round < rounds(300, 20_000); round += 1) {
        const hits = new Map(
          Array.from({ length: 3 }, () => {
            const region = random.pick(regions);
            return [
              region.start + random.pick([446, 450, 454, 458, 462, 466, 510, random.below(512)]),
              random.below(256),
            ];
          }),
        );
        const damaged = {
          size: file.size,
          read: async (offset: number, length: number) => {
            const bytes = await file.read(offset, length);
            for (const [at, value] of hits) if (at >= offset && at < offset + length) bytes[at - offset] = value;
            return bytes;
          },
        };
        await readPartitionTable(damaged).catch((error: unknown) => {
          assert.ok(error instanceof Failure, String(error));
        });
      }
    });
  }

  test('tells from the end of the table that an image is truncated', async (t) => {
    const image = await makeOsImage(path.join(await temporaryFolder(t), 'gpt.img'));
    await truncate(image.path, image.size - 8 * 1024 * 1024);
    const table = await tableOf(t, image.path);
    assert.equal(table.damage, undefined);
    assert.equal(table.end, image.size);
  });
});

function isDamaged(error: unknown): boolean {
  return error instanceof Failure && error.code === 'partition-table-damaged' && error.kind === 'failed';
}
