import assert from 'node:assert/strict';
import { open, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { parseBmap } from '../../src/lib/image/bmap.js';
import { davit, davitJson, runProgram } from '../support/davit.js';
import { partitionContent } from '../support/disk-content.js';
import { checked, fillFile } from '../support/loop-device.js';
import { makeOsImage } from '../support/os-image.js';
import { bmaptoolMissing } from '../support/programs.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const mebibyte = 1024 * 1024;

interface MapDocument {
  readonly version: 1;
  readonly image: { readonly format: string; readonly size: number };
  readonly table: string;
  readonly used: number;
  readonly partitions: readonly {
    readonly number: number;
    readonly name: string | null;
    readonly size: number;
    readonly fileSystem: string | null;
    readonly used: number;
    readonly whyAllUsed: string | null;
  }[];
  readonly ranges: readonly { readonly start: number; readonly size: number }[];
  readonly bmap: string | null;
}

async function mapOf(words: readonly string[]): Promise<MapDocument> {
  const { exitCode, stdout, stderr } = await davit(['image', 'map', ...words, '--json']);
  assert.equal(exitCode, 0, stdout + stderr);
  return JSON.parse(stdout) as MapDocument;
}

test('tells what each partition holds, what of it is used, and why all of it is', async (t) => {
  const image = await makeOsImage(path.join(await temporaryFolder(t), 'image'), { flasher: true, dataSize: 32 });
  const map = await mapOf([image.path]);
  assert.equal(map.table, 'gpt');
  assert.equal(map.image.size, image.size);
  assert.deepEqual(
    map.partitions.map(({ name, fileSystem, whyAllUsed }) => [name, fileSystem, whyAllUsed]),
    [
      ['flash-boot', 'fat16', null],
      ['flash-rootA', 'ext4', null],
      ['flash-rootB', 'ext4', null],
      ['flash-state', null, 'unknown'],
      ['flash-data', null, 'unknown'],
    ],
  );
  for (const { used, size, whyAllUsed } of map.partitions) {
    assert.ok(whyAllUsed === null ? used < 0.8 * size : used === size);
  }
  assert.equal(
    map.used,
    map.ranges.reduce((sum, { size }) => sum + size, 0),
  );
  const { stdout } = await davit(['image', 'map', image.path]);
  assert.match(stdout, /flash-rootA +ext4/);
  assert.match(stdout, /flash-data .*nothing that is known/);
});

test('gives the same map of a packed image and of one on standard input', async (t) => {
  const image = await makeOsImage(path.join(await temporaryFolder(t), 'image'), { table: 'mbr' });
  await checked(['gzip', '-1', '--keep', image.path]);
  const file = await mapOf([image.path, '--output', `${image.path}.1`]);
  const packed = await mapOf([`${image.path}.gz`, '--output', `${image.path}.2`]);
  assert.equal(packed.image.format, 'gzip');
  assert.deepEqual({ ...packed, image: 0, bmap: 0 }, { ...file, image: 0, bmap: 0 });
  const input = await davit(['image', 'map', '-', '--output', `${image.path}.3`], {
    input: await readFile(image.path),
  });
  assert.equal(input.exitCode, 0, input.stderr);
  const [first, second, third] = await Promise.all([1, 2, 3].map((one) => readFile(`${image.path}.${one}`, 'utf8')));
  assert.equal(second, first);
  assert.equal(third, first);
});

for (const size of ['whole', 'odd'] as const) {
  test(
    `writes a bmap that bmaptool takes, checks and copies by, for an image of ${size} size`,
    { skip: bmaptoolMissing },
    async (t) => {
      const folder = await temporaryFolder(t);
      const image = await makeOsImage(path.join(folder, 'image'), { table: 'mbr' });
      if (size === 'odd') await truncate(image.path, image.size + 512);
      const bmap = path.join(folder, 'image.bmap');
      const map = await mapOf([image.path, '--output', bmap]);
      assert.deepEqual(
        parseBmap(await readFile(bmap), 'image.bmap').ranges.map(({ start, size: length }) => ({
          start,
          size: length,
        })),
        map.ranges,
      );
      const card = path.join(folder, 'card');
      await fillFile(card, image.size + mebibyte, 0xaa);
      await checked(['bmaptool', '--quiet', 'copy', '--bmap', bmap, image.path, card]);
      for (const partition of image.partitions) {
        const content = await partitionContent(card, partition);
        assert.deepEqual(content, await partitionContent(image.path, partition));
        assert.equal(content.problems, 0, partition.label);
      }
      const range = map.ranges.at(-2);
      assert.ok(range);
      const handle = await open(image.path, 'r+');
      await handle.write(Buffer.from('changed'), 0, 7, range.start + range.size - 7);
      await handle.close();
      assert.equal((await runProgram(['bmaptool', '--quiet', 'copy', '--bmap', bmap, image.path, card])).exitCode, 1);
      const flash = await davitJson(['flash', image.path, '--drive', card, '--yes', '--bmap', bmap]);
      assert.equal(flash.exitCode, 5);
    },
  );
}

test('leaves the output alone unless it is forced, and when the image is truncated', async (t) => {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image'));
  const output = path.join(folder, 'kept');
  await writeFile(output, 'kept');
  assert.equal((await davit(['image', 'map', image.path, '--output', output])).exitCode, 4);
  await truncate(image.path, image.size - 8 * mebibyte);
  assert.equal((await davit(['image', 'map', image.path, '--output', output, '--force'])).exitCode, 5);
  assert.equal(await readFile(output, 'utf8'), 'kept');
  await truncate(image.path, image.size);
  assert.equal((await davit(['image', 'map', image.path, '--output', output, '--force'])).exitCode, 0);
  assert.match(await readFile(output, 'utf8'), /^<\?xml/);
  assert.equal((await davit(['image', 'map', image.path, '--output', image.path, '--force'])).exitCode, 2);
  assert.equal((await stat(image.path)).size, image.size);
  assert.deepEqual((await readdir(folder)).sort(), ['image', 'kept']);
});
