import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { Failure } from '../../../src/lib/failure/failure.js';
import { flash, type FlashOptions } from '../../../src/lib/flash/flash.js';
import { planFlash } from '../../../src/lib/flash/plan-flash.js';
import { openBlockFile, sliceOf } from '../../../src/lib/image/block-file.js';
import { FatFileSystem } from '../../../src/lib/image/fat-file-system.js';
import { type ChangedRanges, Overlay } from '../../../src/lib/image/overlay.js';
import { type ImageSource, openImageSource } from '../../../src/lib/image/source.js';
import type { StepProgress } from '../../../src/lib/platform/progress.js';
import { bytesAt, hasNoTable, partitionContent } from '../../support/disk-content.js';
import { attachUsedCard, checked, fillFile, loopDevicesMissing } from '../../support/loop-device.js';
import { makeOsImage, type OsImage, readBootFile } from '../../support/os-image.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const mebibyte = 1024 * 1024;
const never = new AbortController().signal;
const options: FlashOptions = { signal: never, progress: () => undefined };

async function open(t: TestContext, file: string): Promise<ImageSource> {
  const source = await openImageSource(file, { standardInput: Readable.from([]), signal: never });
  t.after(() => source.close());
  return source;
}

/** The changes that put a new file on the boot partition, and replace one. */
async function bootChanges(image: OsImage): Promise<ChangedRanges> {
  const file = await openBlockFile(image.path);
  try {
    const overlay = new Overlay(sliceOf(file, image.boot.start, image.boot.size));
    const boot = await FatFileSystem.open(overlay);
    assert.ok(boot);
    await boot.write('config.json', Buffer.from('{"hostname":"laid-over"}'));
    await boot.write('large.bin', Buffer.alloc(3 * mebibyte, 'large'));
    return await overlay.changes(image.boot.start);
  } finally {
    await file.close();
  }
}

for (const format of ['raw', 'gz']) {
  test(`lays changes over a ${format} image, also where the image had free space`, async (t) => {
    const folder = await temporaryFolder(t);
    const image = await makeOsImage(path.join(folder, 'image.img'));
    const changes = await bootChanges(image);
    const card = path.join(folder, 'card');
    await fillFile(card, image.size, 0xaa);
    if (format === 'gz') await checked(['gzip', '--keep', '-1', image.path]);
    const source = await open(t, format === 'gz' ? `${image.path}.gz` : image.path);
    const plan = await planFlash({ source, drives: [card], changes });
    await flash(plan, source, { ...options, changes });
    const bootAddress = `${card}@@${image.boot.start}`;
    const read = (name: string) => readBootFile({ bootAddress }, name, path.join(folder, 'read'));
    assert.equal((await read('config.json')).toString(), '{"hostname":"laid-over"}');
    assert.ok((await read('large.bin')).equals(Buffer.alloc(3 * mebibyte, 'large')));
    assert.equal((await partitionContent(card, image.boot)).problems, 0);
  });
}

test(
  'refuses a card that was swapped after it was looked at, and writes nothing',
  { skip: loopDevicesMissing },
  async (t) => {
    const folder = await temporaryFolder(t);
    const image = await makeOsImage(path.join(folder, 'image.img'));
    const card = await attachUsedCard(t, path.join(folder, 'card'), image.size);
    const other = path.join(folder, 'other');
    await fillFile(other, image.size, 0x55);
    const source = await open(t, image.path);
    const plan = await planFlash({ source, drives: [card.path] });
    await checked(['losetup', '--detach', card.path]);
    await checked(['losetup', card.path, other]);
    await assert.rejects(
      flash(plan, source, options),
      (error) => error instanceof Failure && error.kind === 'refused' && error.code === 'drive-changed',
    );
    assert.deepEqual(await bytesAt(other, 0, mebibyte), Buffer.alloc(mebibyte, 0x55));
  },
);

test(
  'stops while it verifies when it is told to, and leaves no partition table',
  { skip: loopDevicesMissing },
  async (t) => {
    const folder = await temporaryFolder(t);
    const image = await makeOsImage(path.join(folder, 'image.img'));
    const card = await attachUsedCard(t, path.join(folder, 'card'), image.size);
    const source = await open(t, image.path);
    const abort = new AbortController();
    const notices: string[] = [];
    const flashing = flash(await planFlash({ source, drives: [card.path] }), source, {
      signal: abort.signal,
      progress: (event) => {
        if (event.type === 'notice') notices.push(event.text);
        if (event.type === 'step' && event.phase === 'verify') abort.abort();
      },
    });
    await assert.rejects(flashing, (error) => error instanceof Failure && error.kind === 'interrupted');
    assert.ok(await hasNoTable(card.file, image.size));
    assert.equal(notices.length, 1);
  },
);

for (const moment of ['before the drives are opened', 'before anything is written']) {
  test(`leaves a card as it was when it is told to stop ${moment}`, async (t) => {
    const folder = await temporaryFolder(t);
    const image = await makeOsImage(path.join(folder, 'image.img'));
    const card = path.join(folder, 'card');
    await fillFile(card, image.size, 0xaa);
    const before = process.env.DAVIT_STATE_DIR;
    // No folder can be made below a file, which is said when the flash is to be noted.
    process.env.DAVIT_STATE_DIR = path.join(image.path, 'state');
    t.after(() => {
      if (before === undefined) delete process.env.DAVIT_STATE_DIR;
      else process.env.DAVIT_STATE_DIR = before;
    });
    const source = await open(t, image.path);
    const plan = await planFlash({ source, drives: [card] });
    const abort = new AbortController();
    const changes = () => {
      if (moment === 'before the drives are opened') abort.abort();
      return [];
    };
    const progress: FlashOptions['progress'] = (event) => {
      if (event.type === 'notice') abort.abort();
    };
    const flashing = flash(plan, source, { signal: abort.signal, progress, changes });
    await assert.rejects(flashing, (error) => error instanceof Failure && error.kind === 'interrupted');
    assert.ok((await bytesAt(card, 0, image.size)).equals(Buffer.alloc(image.size, 0xaa)));
  });
}

for (const table of ['gpt', 'mbr'] as const) {
  test(`makes a file large enough for a packed image with a table of type ${table}`, async (t) => {
    const folder = await temporaryFolder(t);
    const image = await makeOsImage(path.join(folder, 'image.img'), { table });
    await checked(['gzip', '--keep', '-1', image.path]);
    const source = await open(t, `${image.path}.gz`);
    const card = path.join(folder, 'new.img');
    await flash(await planFlash({ source, drives: [card], everything: true }), source, options);
    assert.ok((await readFile(card)).subarray(0, image.size).equals(await readFile(image.path)));
  });
}

test('does not wait for the rest of an image when all drives have failed', { timeout: 30_000 }, async (t) => {
  const card = path.join(await temporaryFolder(t), 'card');
  await fillFile(card, 2 * mebibyte, 0xaa);
  const standardInput = new PassThrough();
  standardInput.write(Buffer.alloc(5 * mebibyte, 'image'));
  const source = await openImageSource('-', { standardInput, signal: never });
  t.after(() => source.close());
  const plan = await planFlash({ source, drives: [card], everything: true });
  await assert.rejects(flash(plan, source, options), { code: 'image-too-large' });
});

test('tells how much there is to write better and better while a packed image streams by', async (t) => {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image.img'), { dataSize: 256 });
  await checked(['gzip', '-1', image.path]);
  const card = path.join(folder, 'card');
  await fillFile(card, image.size, 0xaa);
  const source = await open(t, `${image.path}.gz`);
  const steps: StepProgress[] = [];
  await flash(await planFlash({ source, drives: [card] }), source, {
    signal: never,
    progress: (event) => {
      if (event.type === 'step' && event.phase === 'write') steps.push(event);
    },
  });
  const written = steps.at(-1)?.current ?? 0;
  assert.equal(steps.at(-1)?.total, written);
  assert.ok(written < 0.3 * image.size);
  assert.ok(steps.every(({ current = 0, total = 0 }) => current <= total));
});
