import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFile, mkdir, open, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { davit, davitJson } from '../support/davit.js';
import { partitionContent } from '../support/disk-content.js';
import { attachLoopDevice, attachUsedCard, checked, fillFile, loopDevicesMissing } from '../support/loop-device.js';
import { makeOsImage, type OsImage } from '../support/os-image.js';
import { slowCardsMissing, startSlowCard } from '../support/slow-card.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const mebibyte = 1024 * 1024;
const skip = loopDevicesMissing;

interface ReadDocument {
  readonly drive: { readonly path: string; readonly size: number };
  readonly image: { readonly path: string; readonly size: number; readonly sha256: string | null };
  readonly bytesRead: number;
}

async function read(words: readonly string[]): Promise<ReadDocument> {
  const { exitCode, stdout, stderr } = await davit(['drives', 'read', ...words, '--json']);
  assert.equal(exitCode, 0, stdout + stderr);
  return JSON.parse(stdout) as ReadDocument;
}

async function failsWith(
  words: readonly string[],
): Promise<{ exitCode: number | null; code: string; message: string }> {
  const { exitCode, document } = await davitJson(['drives', 'read', ...words]);
  const { error } = document as { readonly error: { readonly code: string; readonly message: string } };
  return { exitCode, code: error.code, message: error.message };
}

async function flash(image: string, drive: string): Promise<void> {
  const { exitCode, stderr } = await davit(['flash', image, '--drive', drive, '--yes']);
  assert.equal(exitCode, 0, stderr);
}

async function assertSameFiles(disk: string, image: OsImage): Promise<void> {
  for (const partition of image.partitions) {
    const content = await partitionContent(disk, partition);
    assert.deepEqual(content, await partitionContent(image.path, partition));
    assert.equal(content.problems, 0, partition.label);
  }
}

/** A used card of a size in bytes that an image was written to. */
async function flashedCard(t: TestContext, image: OsImage, size: number) {
  const card = await attachUsedCard(t, `${image.path}.card`, size);
  await flash(image.path, card.path);
  return card;
}

for (const table of ['gpt', 'mbr'] as const) {
  test(`reads a card with ${table} into a sparse image whose files are those of the card`, { skip }, async (t) => {
    const folder = await temporaryFolder(t);
    const image = await makeOsImage(path.join(folder, 'image'), { table, dataSize: 48 });
    const card = await flashedCard(t, image, 400 * mebibyte);
    const output = path.join(folder, 'read.img');
    const result = await read([card.path, output, '--checksum']);
    assert.equal(result.drive.size, 400 * mebibyte);
    assert.ok(result.image.size <= image.size, 'it ends where the image did');
    assert.equal(
      result.image.sha256,
      createHash('sha256')
        .update(await readFile(output))
        .digest('hex'),
    );
    const { size, blocks, mode } = await stat(output);
    assert.equal(size, result.image.size);
    assert.equal(mode & 0o777, 0o600);
    assert.ok(blocks * 512 < 0.6 * image.size, 'it is sparse');
    assert.ok(result.bytesRead < 0.6 * image.size, 'what is not used is not read');
    await assertSameFiles(output, image);

    const other = path.join(folder, 'other');
    await fillFile(other, image.size, 0x33);
    await flash(output, other);
    await assertSameFiles(other, image);
  });
}

test('moves the copy of a GPT that lies at the end of the card to the end of the image', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image'));
  const card = await flashedCard(t, image, 300 * mebibyte);
  await checked(['sgdisk', '--move-second-header', card.path]);
  const output = path.join(folder, 'read.img');
  const result = await read([card.path, output]);
  assert.equal(result.image.sha256, null);
  assert.ok(result.image.size <= image.size);
  assert.match(await checked(['sgdisk', '--verify', output]), /No problems found/);
  assert.equal(
    await checked(['sgdisk', '--print', output]).then(partitionLines),
    await checked(['sgdisk', '--print', image.path]).then(partitionLines),
  );
  await assertSameFiles(output, image);
  // The copy alone is enough to find the partitions again.
  const handle = await open(output, 'r+');
  await handle.write(Buffer.alloc(512), 0, 512, 512);
  await handle.close();
  assert.match(await checked(['sfdisk', '--json', output]), /rootA/);
});

function partitionLines(text: string): string {
  return text.slice(text.indexOf('Number'));
}

test('moves the copy of a GPT on a card with sectors of 4096 bytes', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'card.img');
  await fillFile(file, 200 * mebibyte, 0xaa);
  const card = await attachLoopDevice(t, file, { sectorSize: 4096 });
  await checked(['sfdisk', '--quiet', '--no-reread', card.path], 'label: gpt\nsize=20M\nsize=30M\n');
  const output = path.join(folder, 'read.img');
  const { image } = await read([card.path, output]);
  assert.ok(image.size < 60 * mebibyte);
  const again = await attachLoopDevice(t, output, { sectorSize: 4096 });
  assert.match(await checked(['sgdisk', '--verify', again.path]), /No problems found/);
});

test('reads every byte with --all', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image'));
  const card = await flashedCard(t, image, 120 * mebibyte + 512);
  const output = path.join(folder, 'read.img');
  const result = await read([card.path, output, '--all']);
  assert.equal(result.bytesRead, 120 * mebibyte + 512);
  await checked(['cmp', card.path, output]);
});

test('reads all of a card without a partition table, and of a file that stands for a card', async (t) => {
  const folder = await temporaryFolder(t);
  const card = path.join(folder, 'card.img');
  await fillFile(card, 3 * mebibyte + 77, 0x5a);
  const result = await read([card, path.join(folder, 'read.img')]);
  assert.equal(result.image.size, 3 * mebibyte + 77);
  await checked(['cmp', card, path.join(folder, 'read.img')]);
});

for (const place of ['a file', 'the descriptors of what is used'] as const) {
  test(
    `names the byte and the partition that cannot be read in ${place}, and leaves no file`,
    {
      skip: slowCardsMissing,
    },
    async (t) => {
      const folder = await temporaryFolder(t);
      const image = await makeOsImage(path.join(folder, 'image'));
      const [needle] = Object.values(image.rootFiles).filter(({ length }) => length > mebibyte);
      const root = image.partitions.find(({ label }) => label === 'resin-rootA');
      assert.ok(needle && root);
      const inFile = (await readFile(image.path)).indexOf(needle.subarray(0, 4096)) + 3 * 4096;
      const broken = place === 'a file' ? inFile : root.start + 4096;
      const card = await startSlowCard(t, { size: image.size, brokenAt: { start: broken, size: 512, on: 'read' } });
      await copyFile(image.path, card.content);
      const output = path.join(folder, 'out', 'read.img');
      await mkdir(path.dirname(output));
      const { exitCode, code, message } = await failsWith([card.device.path, output]);
      assert.deepEqual({ exitCode, code }, { exitCode: 5, code: 'drive-unreadable' });
      assert.match(message, new RegExp(`at byte ${broken}, in partition ${root.number} \\(resin-rootA\\)`));
      assert.deepEqual(await readdir(path.dirname(output)), []);
    },
  );
}

test('warns when the partitions of a card go on behind its end', async (t) => {
  const folder = await temporaryFolder(t);
  const { path: card, size } = await makeOsImage(path.join(folder, 'card'));
  await truncate(card, size - 4 * mebibyte);
  const { exitCode, stderr } = await davit(['drives', 'read', card, path.join(folder, 'read.img')]);
  assert.equal(exitCode, 0, stderr);
  assert.match(stderr, /will be truncated.*partitions end at byte/);
});

test('replaces an image only when told so, and never writes into what it reads', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image'));
  const output = path.join(folder, 'read.img');
  await writeFile(output, 'kept');
  assert.deepEqual((await failsWith([image.path, output])).code, 'output-exists');
  assert.equal(await readFile(output, 'utf8'), 'kept');
  await read([image.path, output, '--force']);
  await assertSameFiles(output, image);
  assert.deepEqual((await failsWith([image.path, image.path, '--force'])).code, 'output-on-drive');
  assert.deepEqual((await failsWith([image.path, `${output}.gz`])).code, 'output-packed');
  assert.deepEqual((await failsWith([image.path, path.join(folder, 'none', 'x.img')])).exitCode, 3);
  assert.deepEqual((await failsWith([path.join(folder, 'none.img'), `${output}.2`])).code, 'drive-not-found');
  assert.deepEqual((await readdir(folder)).sort(), ['image', 'read.img']);
});

test('reads a mounted drive with a warning, but not onto itself', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const file = path.join(folder, 'card.img');
  await fillFile(file, 64 * mebibyte, 0);
  await checked(['mke2fs', '-q', '-F', '-t', 'ext4', file]);
  const card = await attachLoopDevice(t, file);
  const mountPoint = path.join(folder, 'mounted');
  await mkdir(mountPoint);
  await checked(['mount', card.path, mountPoint]);
  try {
    const { exitCode, stderr } = await davit(['drives', 'read', card.path, path.join(folder, 'read.img')]);
    assert.equal(exitCode, 0, stderr);
    assert.match(stderr, /may be inconsistent.*mounted/);
    assert.equal((await stat(path.join(folder, 'read.img'))).size, 64 * mebibyte);
    const { code, exitCode: refused } = await failsWith([card.path, path.join(mountPoint, 'read.img')]);
    assert.deepEqual({ code, refused }, { code: 'output-on-drive', refused: 4 });
  } finally {
    await checked(['umount', mountPoint]);
  }
});

test('does not begin where there is no room', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image'));
  const small = path.join(folder, 'small');
  await mkdir(small);
  await checked(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small]);
  try {
    const { exitCode, code } = await failsWith([image.path, path.join(small, 'read.img')]);
    assert.deepEqual({ exitCode, code }, { exitCode: 4, code: 'no-space' });
    assert.deepEqual(await readdir(small), []);
  } finally {
    await checked(['umount', small]);
  }
});

test('leaves nothing behind when it is interrupted', { skip: slowCardsMissing }, async (t) => {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image'));
  const card = await startSlowCard(t, { size: image.size, bytesPerSecond: 4 * mebibyte, isFile: true });
  await copyFile(image.path, card.content);
  await truncate(card.content, image.size);
  const out = path.join(folder, 'out');
  await mkdir(out);
  const result = await davit(['drives', 'read', card.device.path, path.join(out, 'read.img'), '--progress', 'json'], {
    kill: { signal: 'SIGINT', when: (text) => /"current":[1-9]/.test(text) },
  });
  assert.equal(result.exitCode, 130);
  assert.deepEqual(await readdir(out), []);
});
