// Images that end early or change while they are read, and images of sizes that suit no sector.
import assert from 'node:assert/strict';
import { copyFile, open, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { rounds } from '../support/campaign.js';
import { davit, davitJson, watchDavit, type WatchedDavit } from '../support/davit.js';
import { assertHoldsImage, bytesAt, hasNoTable } from '../support/disk-content.js';
import { attachUsedCard, checked, type LoopDevice, loopDevicesMissing } from '../support/loop-device.js';
import { makeOsImage, type OsImage } from '../support/os-image.js';
import { seededRandom } from '../support/seeded-random.js';
import { type SlowCard, slowCardsMissing, startSlowCard } from '../support/slow-card.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const mebibyte = 1024 * 1024;

const flashWords = (source: string, drive: string) => [
  ...['flash', source, '--drive', drive, '--yes', '--progress', 'json'],
];

const packers: Readonly<Record<string, (image: string, packed: string) => string>> = {
  raw: (image, packed) => `cp --sparse=always ${image} ${packed}`,
  gz: (image, packed) => `gzip -1 <${image} >${packed}`,
  xz: (image, packed) => `xz -0 --block-size=16MiB <${image} >${packed}`,
  zst: (image, packed) => `zstd -q -1 -o ${packed} ${image}`,
  zip: (image, packed) => `zip -q -1 -j ${packed} ${image}`,
  'stored.zip': (image, packed) => `zip -q -0 -j ${packed} ${image}`,
};

async function pack(image: string, format: string): Promise<string> {
  const packed = `${image}.${format}`;
  await checked(['sh', '-c', packers[format]?.(image, packed) ?? 'false']);
  return packed;
}

async function someImage(t: TestContext): Promise<{ readonly folder: string; readonly image: OsImage }> {
  const folder = await temporaryFolder(t);
  return { folder, image: await makeOsImage(path.join(folder, 'image.img')) };
}

for (const format of Object.keys(packers)) {
  test(
    `writes an image of 4096 n + 512 bytes from ${format}, to the last byte`,
    { skip: loopDevicesMissing },
    async (t) => {
      const { folder, image } = await someImage(t);
      // Behind the copy of the table, where no file system is: it matters.
      const end = seededRandom(45).bytes(3 * 4096 + 512);
      await writeFile(image.path, end, { flag: 'a' });
      const size = image.size + end.length;
      const packed = await pack(image.path, format);
      const cards = await Promise.all([
        attachUsedCard(t, path.join(folder, 'exact'), size),
        attachUsedCard(t, path.join(folder, 'large-sectors'), image.size + 2 * mebibyte, { sectorSize: 4096 }),
      ]);
      for (const card of cards) {
        const { exitCode, stderr } = await davitJson(flashWords(packed, card.path));
        assert.equal(exitCode, 0, `${card.path}: ${stderr}`);
        assert.ok((await bytesAt(card.file, image.size, end.length)).equals(end), card.path);
        await assertHoldsImage(card.file, image);
      }
    },
  );
}

/** A source that is being written to a slow card, so that there is time to do something to it. */
async function startSlowFlash(t: TestContext, source: string, image: OsImage) {
  const card = await startSlowCard(t, { size: image.size, bytesPerSecond: 20e6 });
  const running = watchDavit([...flashWords(source, card.device.path), '--json']);
  while (!/"phase":"write","state":"active","current":[1-9]/.test(running.output())) {
    if (running.child.exitCode !== null) throw new Error(running.output());
    await wait(1);
  }
  return { card, running };
}

async function codeAndState(
  running: WatchedDavit,
  card: SlowCard,
  image: OsImage,
): Promise<{ code: string; exitCode: number | null; hasNoTable: boolean }> {
  const { exitCode, stdout, stderr } = await running.result;
  assert.match(stderr, /holds no partition table now and does not boot/);
  const { error } = JSON.parse(stdout) as { error: { code: string } };
  return { exitCode, code: error.code, hasNoTable: await hasNoTable(card.device.path, image.size) };
}

const damages: Readonly<Record<string, (file: string, size: number) => Promise<void>>> = {
  'is cut short': (file, size) => truncate(file, size - mebibyte),
  'is written to': async (file, size) => {
    const handle = await open(file, 'r+');
    await handle.write(Buffer.alloc(4096, 'changed'), 0, 4096, size - mebibyte);
    await handle.close();
  },
};

for (const format of ['raw', 'gz', 'zst', 'xz', 'zip'].slice(0, rounds(3, 5))) {
  for (const [what, damage] of Object.entries(damages)) {
    test(`ends with 5 when a ${format} image ${what} while it is read`, { skip: slowCardsMissing }, async (t) => {
      // Larger than what is read ahead, packed as well as unpacked.
      const bootFiles = { 'large.bin': seededRandom(46).bytes(30 * mebibyte) };
      const folder = await temporaryFolder(t);
      const image = await makeOsImage(path.join(folder, 'image.img'), { bootSize: 40, bootFiles });
      const packed = await pack(image.path, format);
      const { size } = await stat(packed);
      const { card, running } = await startSlowFlash(t, packed, image);
      await damage(packed, size);
      const { code, ...rest } = await codeAndState(running, card, image);
      assert.deepEqual(rest, { exitCode: 5, hasNoTable: true }, code);
      assert.ok(['source-changed', 'archive-corrupt'].includes(code), code);
    });
  }
}

for (const what of ['replaced', 'removed'] as const) {
  test(
    `writes the image that was there when it began, if its file is ${what} meanwhile`,
    { skip: slowCardsMissing },
    async (t) => {
      const { folder, image } = await someImage(t);
      const source = path.join(folder, 'source.img');
      await copyFile(image.path, source);
      const { card, running } = await startSlowFlash(t, source, image);
      if (what === 'removed') await rm(source);
      else {
        const other = path.join(folder, 'other.img');
        await makeOsImage(other, { seed: 2 });
        await rename(other, source);
      }
      const { exitCode, stderr } = await running.result;
      assert.equal(exitCode, 0, stderr);
      await assertHoldsImage(card.device.path, image);
    },
  );
}

for (const format of ['raw', 'gz', 'xz', 'zst']) {
  test(
    `ends with 5 when standard input ends in the middle of a ${format} image`,
    { skip: loopDevicesMissing },
    async (t) => {
      const { folder, image } = await someImage(t);
      const card = await attachUsedCard(t, path.join(folder, 'card'), image.size);
      const packed = await readFile(await pack(image.path, format));
      const running = watchDavit([...flashWords('-', card.path), '--json']);
      running.child.stdin?.end(packed.subarray(0, Math.floor(packed.length * 0.7)));
      const { exitCode, stdout, stderr } = await running.result;
      assert.equal(exitCode, 5, stderr);
      const { error } = JSON.parse(stdout) as { error: { code: string } };
      assert.equal(error.code, format === 'raw' ? 'image-truncated' : 'archive-corrupt');
      assert.ok(await hasNoTable(card.file, image.size));
    },
  );
}

test(
  'changes nothing on a card when standard input is empty, or is no image',
  { skip: loopDevicesMissing },
  async (t) => {
    const { folder, image } = await someImage(t);
    const card: LoopDevice = await attachUsedCard(t, path.join(folder, 'card'), image.size);
    const before = await card.sectorsWritten();
    for (const [input, expected] of [
      ['', 5],
      ['no image at all', 4],
    ] as const) {
      const { exitCode } = await davitJson(flashWords('-', card.path), { input });
      assert.equal(exitCode, expected);
    }
    assert.equal(await card.sectorsWritten(), before);
  },
);

test('takes little memory for a packed image that is much larger', async (t) => {
  const { folder, image } = await someImage(t);
  const card = path.join(folder, 'card');
  await writeFile(card, '');
  for (const file of [image.path, card]) await truncate(file, 512 * mebibyte);
  const words = [...flashWords(await pack(image.path, 'gz'), card), '--verify', 'none'];
  const { exitCode, stderr } = await davit(words, { wrapper: ['/usr/bin/time', '--format', 'peak %M kB'] });
  assert.equal(exitCode, 0, stderr);
  const peak = Number(/peak (\d+) kB/.exec(stderr)?.[1]);
  assert.ok(peak < 130_000, `${peak} kB`);
});
