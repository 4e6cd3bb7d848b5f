import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { davit, davitJson } from '../support/davit.js';
import { assertHoldsImage, bytesAt } from '../support/disk-content.js';
import { attachUsedCard, checked, fillFile, type LoopDevice, loopDevicesMissing } from '../support/loop-device.js';
import { makeOsImage, type OsImage, type OsImageOptions } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const mebibyte = 1024 * 1024;
const skip = loopDevicesMissing;

interface Setup {
  readonly folder: string;
  readonly image: OsImage;
  readonly card: LoopDevice;
}

/** An image, and a larger card that held something else. */
async function setUp(t: TestContext, options: OsImageOptions = {}, sectorSize = 512): Promise<Setup> {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image.img'), options);
  const card = await attachUsedCard(t, path.join(folder, 'card'), image.size + 8 * mebibyte, { sectorSize });
  return { folder, image, card };
}

async function pack(image: string, format: string): Promise<string> {
  const packed = `${image}.${format}`;
  const commands: Readonly<Record<string, readonly string[]>> = {
    raw: ['cp', image, packed],
    gz: ['sh', '-c', `gzip -1 <${image} >${packed}`],
    xz: ['sh', '-c', `xz -0 --block-size=16MiB <${image} >${packed}`],
    zst: ['sh', '-c', `zstd -q -1 <${image} >${packed}`],
    zip: ['zip', '-q', '-1', '-j', packed, image],
  };
  await checked(commands[format] ?? []);
  return packed;
}

for (const [format, table] of [
  ['raw', 'gpt'],
  ['raw', 'mbr'],
  ['gz', 'gpt'],
  ['gz', 'mbr'],
  ['xz', 'mbr'],
  ['zst', 'gpt'],
  ['zip', 'mbr'],
] as const) {
  test(`puts a ${table} image from ${format} on a used card, writing only what matters`, { skip }, async (t) => {
    const { image, card } = await setUp(t, { table });
    const packed = await pack(image.path, format);
    const before = await card.sectorsWritten();
    const { exitCode, document, stderr } = await davitJson(['flash', packed, '--drive', card.path, '--yes']);
    assert.equal(exitCode, 0, stderr);
    await assertHoldsImage(card.file, image);
    const written = ((await card.sectorsWritten()) - before) * 512;
    assert.ok(written < 0.7 * image.size, `${written} of ${image.size} bytes were written`);
    const { drives } = document as {
      drives: { path: string; bytesWritten: number; bytesVerified: number; verifiedFrom: string }[];
    };
    assert.equal(drives[0]?.path, card.path);
    assert.equal(drives[0].bytesVerified, drives[0].bytesWritten);
    assert.equal(drives[0].verifiedFrom, 'medium');
    assert.ok(drives[0].bytesWritten < written + 1);
  });
}

for (const fat of [12, 16, 32] as const) {
  test(`leaves out what is free on FAT${fat}, and nothing else`, { skip }, async (t) => {
    const { image, card } = await setUp(t, { fat, table: 'mbr' });
    const { exitCode, stderr } = await davit(['flash', image.path, '--drive', card.path, '--yes']);
    assert.equal(exitCode, 0, stderr);
    await assertHoldsImage(card.file, image);
    const freeBytes = await bytesAt(card.file, image.boot.start + image.boot.size - 2 * 65536, 65536);
    assert.ok(freeBytes.equals(Buffer.alloc(65536, 0xaa)), 'free clusters keep what the card held');
  });
}

test('writes a card with sectors of 4096 bytes', { skip }, async (t) => {
  const { image, card } = await setUp(t, {}, 4096);
  const { exitCode, stderr } = await davit(['flash', image.path, '--drive', card.path, '--yes']);
  assert.equal(exitCode, 0, stderr);
  await assertHoldsImage(card.file, image);
});

test('takes an image from standard input', { skip }, async (t) => {
  const { image, card } = await setUp(t);
  const packed = await pack(image.path, 'gz');
  const { exitCode, stderr } = await davit(['flash', '-', '--drive', card.path, '--yes'], {
    input: await readFile(packed),
  });
  assert.equal(exitCode, 0, stderr);
  await assertHoldsImage(card.file, image);
});

test('writes every byte with --all, also of what is no disk image and ends within a sector', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const card = await attachUsedCard(t, path.join(folder, 'card'), 16 * mebibyte);
  const file = path.join(folder, 'anything');
  await fillFile(file, 5 * mebibyte + 700, 0x55);
  const { exitCode, stderr } = await davit(['flash', file, '--drive', card.path, '--all', '--yes']);
  assert.equal(exitCode, 0, stderr);
  const expected = Buffer.concat([Buffer.alloc(5 * mebibyte + 700, 0x55), Buffer.alloc(1024 - 700)]);
  assert.ok((await bytesAt(card.file, 0, expected.length)).equals(expected));
  assert.deepEqual(await bytesAt(card.file, expected.length, 512), Buffer.alloc(512, 0xaa));
});

test('writes to a file that stands for a card, and keeps its size', async (t) => {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image.img'));
  const card = path.join(folder, 'card.img');
  await fillFile(card, image.size + 3 * mebibyte, 0xaa);
  const { exitCode, stderr } = await davit(['flash', image.path, '--drive', card, '--yes']);
  assert.equal(exitCode, 0, stderr);
  assert.equal((await stat(card)).size, image.size + 3 * mebibyte);
  await assertHoldsImage(card, image);
});

test('writes to a file of an odd size, and says that it could not read past the cache', async (t) => {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image.img'));
  const card = path.join(folder, 'card.img');
  await fillFile(card, image.size + 1234, 0xaa);
  const { exitCode, document, stderr } = await davitJson(['flash', image.path, '--drive', card, '--yes']);
  assert.equal(exitCode, 0, stderr);
  assert.equal((document as { drives: { verifiedFrom: string }[] }).drives[0]?.verifiedFrom, 'cache');
  assert.equal((await stat(card)).size, image.size + 1234);
  await assertHoldsImage(card, image);
});

test('writes the end of the image to cards that end with it, or a little after it', { skip }, async (t) => {
  const { folder, image } = await setUp(t);
  const sizes = [0, 3 * 512, 4096, 700 * 1024].map((more) => image.size + more);
  const cards = await Promise.all(
    sizes.map((size, index) => attachUsedCard(t, path.join(folder, `end-${index}`), size)),
  );
  const words = cards.flatMap((card) => ['--drive', card.path]);
  const { exitCode, document, stderr } = await davitJson(['flash', image.path, ...words, '--yes']);
  assert.equal(exitCode, 0, stderr);
  const tableAt = image.size - 33 * 512;
  for (const [index, card] of cards.entries()) {
    await assertHoldsImage(card.file, image);
    assert.ok((await bytesAt(card.file, tableAt, 33 * 512)).equals(await bytesAt(image.path, tableAt, 33 * 512)));
    const after = (sizes[index] ?? 0) - image.size;
    assert.deepEqual(await bytesAt(card.file, image.size, after), Buffer.alloc(after));
  }
  const { drives } = document as { drives: { bytesWritten: number; bytesVerified: number }[] };
  const [first] = drives;
  assert.ok(first);
  for (const drive of drives) {
    assert.deepEqual([drive.bytesWritten, drive.bytesVerified], [first.bytesWritten, first.bytesWritten]);
  }
});

test('writes several cards in one pass', { skip }, async (t) => {
  const { folder, image, card } = await setUp(t);
  const other = await attachUsedCard(t, path.join(folder, 'other'), image.size);
  const packed = await pack(image.path, 'gz');
  const { exitCode, stderr } = await davit(['flash', packed, '-d', card.path, '-d', other.path, '--yes']);
  assert.equal(exitCode, 0, stderr);
  await assertHoldsImage(card.file, image);
  await assertHoldsImage(other.file, image);
});

test('says what it would do with --dry-run, and writes nothing', { skip }, async (t) => {
  const { image, card } = await setUp(t);
  const before = await card.sectorsWritten();
  const { exitCode, document } = await davitJson(['flash', image.path, '--drive', card.path, '--dry-run']);
  assert.equal(exitCode, 0);
  assert.equal(await card.sectorsWritten(), before);
  const { plan } = document as { plan: { image: { size: number; bytesToWrite: number } } };
  assert.equal(plan.image.size, image.size);
  assert.ok(plan.image.bytesToWrite < image.size);
});

test('reports writing and verifying with the bytes that there are', { skip }, async (t) => {
  const { image, card } = await setUp(t);
  const { stderr } = await davit(['flash', image.path, '--drive', card.path, '--yes', '--progress', 'json']);
  const events = stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { phase: string; state: string; current: number; total: number; id: string });
  for (const phase of ['write', 'verify']) {
    const steps = events.filter((event) => event.phase === phase);
    assert.equal(steps[0]?.state, 'active');
    assert.equal(steps.at(-1)?.state, 'done');
    assert.ok(steps.every((step) => step.id === card.path && step.current <= step.total));
    assert.equal(steps[0].total, steps.at(-1)?.current);
  }
});

test('does not read back with --verify none, and says so', { skip }, async (t) => {
  const { image, card } = await setUp(t);
  const { exitCode, document } = await davitJson([
    ...['flash', image.path, '--drive', card.path, '--yes', '--verify', 'none'],
  ]);
  assert.equal(exitCode, 0);
  const { drives } = document as { drives: { bytesVerified: number; verifiedFrom: string | null }[] };
  assert.equal(drives[0]?.bytesVerified, 0);
  assert.equal(drives[0].verifiedFrom, null);
  await assertHoldsImage(card.file, image);
});
