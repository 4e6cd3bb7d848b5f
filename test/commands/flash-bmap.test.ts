import assert from 'node:assert/strict';
import { copyFile, mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { davit, davitJson } from '../support/davit.js';
import { hasNoTable, partitionContent } from '../support/disk-content.js';
import { checked, fillFile } from '../support/loop-device.js';
import { makeOsImage, type OsImage } from '../support/os-image.js';
import { bmaptoolMissing } from '../support/programs.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const mebibyte = 1024 * 1024;

interface Prepared extends OsImage {
  readonly folder: string;
  readonly card: string;
  readonly cardSize: number;
  readonly bmap: string;
}

/** An image with its bmap by bmaptool, not yet where davit finds it, and a card that was used before. */
async function prepare(t: TestContext): Promise<Prepared> {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'balena.img'), { dataSize: 32 });
  await checked(['fallocate', '--dig-holes', image.path]);
  const bmap = path.join(folder, 'kept');
  await checked(['bmaptool', '--quiet', 'create', '-o', bmap, image.path]);
  const card = path.join(folder, 'card');
  const cardSize = image.size + mebibyte;
  await fillFile(card, cardSize, 0xaa);
  return { ...image, folder, card, cardSize, bmap };
}

async function assertFlashed(image: Prepared): Promise<void> {
  for (const partition of image.partitions) {
    const content = await partitionContent(image.card, partition);
    assert.deepEqual(content, await partitionContent(image.path, partition));
    assert.equal(content.problems, 0, partition.label);
  }
}

/** Changes a byte of a file that is in the image and in its bmap. */
async function damage(image: Prepared): Promise<void> {
  const [needle] = Object.values(image.rootFiles).filter(({ length }) => length > mebibyte);
  assert.ok(needle);
  const at = (await readFile(image.path)).indexOf(needle.subarray(0, 64));
  const handle = await open(image.path, 'r+');
  await handle.write(Buffer.of(needle.readUInt8(0) ^ 1), 0, 1, at);
  await handle.close();
}

function errorCode(document: unknown): unknown {
  assert.ok(typeof document === 'object' && document !== null && 'error' in document);
  const { error } = document;
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

const pack: Readonly<Record<string, (image: Prepared) => Promise<string>>> = {
  raw: async ({ path: file }) => Promise.resolve(file),
  gzip: async ({ path: file }) => {
    await checked(['gzip', '-1', '--keep', file]);
    return `${file}.gz`;
  },
};

for (const [kind, packImage] of Object.entries(pack)) {
  for (const name of ['balena.bmap', 'balena.img.bmap']) {
    test(
      `checks a ${kind} image against ${name} beside it, and writes what it leaves out`,
      { skip: bmaptoolMissing },
      async (t) => {
        const image = await prepare(t);
        const packed = await packImage(image);
        await rename(image.bmap, path.join(image.folder, name));
        const { exitCode, document } = await davitJson(['flash', packed, '--drive', image.card, '--yes']);
        assert.equal(exitCode, 0);
        assert.ok(typeof document === 'object' && document !== null && 'bmap' in document);
        assert.equal(document.bmap, path.join(image.folder, name));
        await assertFlashed(image);
      },
    );
  }

  test(
    `leaves a card without a partition table when a ${kind} image is not what its bmap says`,
    { skip: bmaptoolMissing },
    async (t) => {
      const image = await prepare(t);
      await damage(image);
      const packed = await packImage(image);
      const words = ['flash', packed, '--drive', image.card, '--yes'];
      const { exitCode, document } = await davitJson([...words, '--bmap', image.bmap]);
      assert.equal(exitCode, 5);
      assert.equal(errorCode(document), 'bmap-mismatch');
      assert.ok(await hasNoTable(image.card, image.cardSize));

      await copyFile(image.bmap, path.join(image.folder, 'balena.bmap'));
      assert.equal((await davitJson(words)).exitCode, 5, 'the one beside it is used by itself');
      assert.equal((await davitJson([...words, '--no-bmap'])).exitCode, 0);
    },
  );
}

test('checks an image in a zip against the bmap in it', { skip: bmaptoolMissing }, async (t) => {
  const image = await prepare(t);
  await mkdir(path.join(image.folder, '.meta'));
  await copyFile(image.bmap, path.join(image.folder, '.meta', 'image.bmap'));
  const zip = path.join(image.folder, 'balena.zip');
  const words = ['python3', '-m', 'zipfile', '-c', zip, image.path, path.join(image.folder, '.meta')];
  await checked(words);
  const flash = ['flash', zip, '--drive', image.card, '--yes'];
  const { exitCode, stderr } = await davit(flash);
  assert.equal(exitCode, 0, stderr);
  assert.match(stderr, /\.meta\/image\.bmap/);
  await assertFlashed(image);

  await damage(image);
  await checked(words);
  const { exitCode: second, document } = await davitJson(flash);
  assert.equal(second, 5);
  assert.equal(errorCode(document), 'bmap-mismatch');
});

test('does not touch the card when the bmap is of an image of another size', { skip: bmaptoolMissing }, async (t) => {
  const image = await prepare(t);
  const other = path.join(image.folder, 'other');
  await checked(['truncate', '-s', '1M', other]);
  await checked(['bmaptool', '--quiet', 'create', '-o', image.bmap, other]);
  const { exitCode, document } = await davitJson([
    'flash',
    image.path,
    '-d',
    image.card,
    '--yes',
    '--bmap',
    image.bmap,
  ]);
  assert.equal(exitCode, 5);
  assert.equal(errorCode(document), 'bmap-mismatch');
  assert.ok((await readFile(image.card)).equals(Buffer.alloc(image.cardSize, 0xaa)));
});

test('does not touch the card when the bmap is damaged or missing', { skip: bmaptoolMissing }, async (t) => {
  const image = await prepare(t);
  await writeFile(path.join(image.folder, 'balena.bmap'), 'no');
  const flash = ['flash', image.path, '--drive', image.card, '--yes'];
  const damaged = await davitJson(flash);
  assert.deepEqual([damaged.exitCode, errorCode(damaged.document)], [5, 'bmap-damaged']);
  const missing = await davitJson([...flash, '--bmap', path.join(image.folder, 'none')]);
  assert.equal(missing.exitCode, 3);
  assert.ok((await readFile(image.card)).equals(Buffer.alloc(image.cardSize, 0xaa)));
});
