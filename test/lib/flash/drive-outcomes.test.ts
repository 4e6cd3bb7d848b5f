import assert from 'node:assert/strict';
import path from 'node:path';
import { Readable } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { Failure } from '../../../src/lib/failure/failure.js';
import { flash, type FlashOptions } from '../../../src/lib/flash/flash.js';
import type { FlashedDrive } from '../../../src/lib/flash/flash-result.js';
import { planFlash } from '../../../src/lib/flash/plan-flash.js';
import { openBlockFile, sliceOf } from '../../../src/lib/image/block-file.js';
import { FatFileSystem } from '../../../src/lib/image/fat-file-system.js';
import { type ChangedRanges, Overlay } from '../../../src/lib/image/overlay.js';
import { type ImageSource, openImageSource } from '../../../src/lib/image/source.js';
import type { StepProgress } from '../../../src/lib/platform/progress.js';
import { partitionContent } from '../../support/disk-content.js';
import { attachUsedCard, checked, loopDevicesMissing } from '../../support/loop-device.js';
import { makeOsImage, type OsImage, readBootFile } from '../../support/os-image.js';
import { slowCardsMissing, startSlowCard } from '../../support/slow-card.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const signal = new AbortController().signal;
const options: FlashOptions = { signal, progress: () => undefined };

async function open(t: TestContext, file: string): Promise<ImageSource> {
  const source = await openImageSource(file, { standardInput: Readable.from([]), signal });
  t.after(() => source.close());
  return source;
}

/** The changes that put one hostname and a file of zeros, for which the image has only free space, on the boot partition. */
async function changesOf(image: OsImage, hostname: string, zeros: number): Promise<ChangedRanges> {
  const file = await openBlockFile(image.path);
  try {
    const overlay = new Overlay(sliceOf(file, image.boot.start, image.boot.size));
    const boot = await FatFileSystem.open(overlay);
    assert.ok(boot);
    await boot.write('config.json', Buffer.from(JSON.stringify({ hostname })));
    await boot.write('zeros.bin', Buffer.alloc(zeros));
    return await overlay.changes(image.boot.start);
  } finally {
    await file.close();
  }
}

for (const format of ['raw', 'gz']) {
  test(
    `gives each drive its own changes in one pass over a ${format} image`,
    { skip: loopDevicesMissing },
    async (t) => {
      const folder = await temporaryFolder(t);
      const image = await makeOsImage(path.join(folder, 'image.img'));
      const cards = await Promise.all(
        ['one', 'two', 'as-it-is'].map((name) => attachUsedCard(t, path.join(folder, name), image.size)),
      );
      const [one, two, asItIs] = cards;
      assert.ok(one && two && asItIs);
      const changes = new Map([
        [one.path, await changesOf(image, 'one', 3_000_000)],
        [two.path, await changesOf(image, 'two', 100)],
      ]);
      if (format === 'gz') await checked(['gzip', '--keep', '-1', image.path]);
      const source = await open(t, format === 'gz' ? `${image.path}.gz` : image.path);
      const ofDrive = ({ path: drive }: { path: string }) => changes.get(drive) ?? [];
      const plan = await planFlash({ source, drives: cards.map((card) => card.path), changes: ofDrive });
      await flash(plan, source, { ...options, changes: ofDrive });
      for (const [card, hostname, zeros] of [
        [one, 'one', 3_000_000],
        [two, 'two', 100],
      ] as const) {
        const bootAddress = `${card.file}@@${image.boot.start}`;
        const read = (name: string) => readBootFile({ bootAddress }, name, path.join(folder, 'read'));
        assert.deepEqual(JSON.parse((await read('config.json')).toString()), { hostname });
        assert.ok((await read('zeros.bin')).equals(Buffer.alloc(zeros)));
      }
      assert.deepEqual(await partitionContent(asItIs.file, image.boot), await partitionContent(image.path, image.boot));
      for (const card of cards) {
        for (const partition of image.partitions)
          assert.equal((await partitionContent(card.file, partition)).problems, 0);
      }
    },
  );
}

test('gives up a drive that does not answer, and nothing else', { skip: slowCardsMissing }, async (t) => {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image.img'));
  // One request takes this card several times as long as is waited for it.
  const stuck = await startSlowCard(t, { size: image.size, writeDelayMs: 4000 });
  const good = await attachUsedCard(t, path.join(folder, 'good'), image.size);
  const source = await open(t, image.path);
  const plan = await planFlash({ source, drives: [stuck.device.path, good.path] });
  const steps: StepProgress[] = [];
  const flashing = flash(plan, source, {
    signal,
    stallMs: 1000,
    progress: (event) => {
      if (event.type === 'step') steps.push(event);
    },
  });
  await assert.rejects(flashing, (error) => {
    assert.ok(error instanceof Failure);
    assert.equal(error.code, 'drives-failed');
    const { drives } = error.report as { drives: readonly FlashedDrive[] };
    assert.deepEqual(
      drives.map(({ outcome, error: why }) => [outcome, why?.code]),
      [
        ['failed', 'drive-stalled'],
        ['done', undefined],
      ],
    );
    assert.match(drives[0]?.state ?? '', /may hold half a system/);
    assert.equal(drives[1]?.state, `${good.path} holds the image`);
    return true;
  });
  for (const partition of image.partitions) {
    assert.deepEqual(await partitionContent(good.file, partition), await partitionContent(image.path, partition));
  }
  assert.ok(steps.some(({ id, phase, state }) => id === good.path && phase === 'table' && state === 'done'));
});

test('tells what was done to the image and the drives, and how long each phase took', async (t) => {
  const folder = await temporaryFolder(t);
  const image = await makeOsImage(path.join(folder, 'image.img'));
  const cards = ['one', 'two'].map((name) => path.join(folder, name));
  for (const card of cards) await checked(['truncate', `--size=${image.size}`, card]);
  const source = await open(t, image.path);
  const plan = await planFlash({ source, drives: cards });
  const result = await flash(plan, source, options);
  assert.equal(result.image.mapped, plan.image.bytesToWrite);
  for (const drive of result.drives) {
    assert.equal(drive.outcome, 'done');
    assert.equal(drive.bytesWritten + drive.bytesSkipped, result.image.mapped);
    const { wipe, write, verify, table } = drive.phases;
    const sum = (wipe ?? 0) + (write ?? 0) + (verify ?? 0) + (table ?? 0);
    assert.ok(sum > 0 && sum <= drive.seconds && drive.seconds <= result.seconds);
  }
});
