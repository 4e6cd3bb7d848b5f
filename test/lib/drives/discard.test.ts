import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { discard, discardableRanges, planDiscard } from '../../../src/lib/drives/discard.js';
import { examineDrive } from '../../../src/lib/drives/drive.js';
import { openDrive } from '../../../src/lib/drives/open-drive.js';
import { bytesAt } from '../../support/disk-content.js';
import { attachUsedCard, fillFile, loopDevicesMissing } from '../../support/loop-device.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const mebibyte = 1024 * 1024;

test('finds the ranges between runs, cut to what the drive can forget', () => {
  const grain = { granularity: 65536, alignment: 512 };
  const runs = [
    { start: mebibyte, size: 4096 },
    { start: 2 * mebibyte, size: 4096 },
    { start: 16 * mebibyte, size: 4096 },
  ];
  const found = discardableRanges(runs, { start: mebibyte, end: 32 * mebibyte }, grain);
  assert.deepEqual(found, [
    { start: 2 * mebibyte + 65536 + 512, size: 14 * mebibyte - 2 * 65536 },
    { start: 16 * mebibyte + 65536 + 512, size: 16 * mebibyte - 2 * 65536 },
  ]);
});

test('finds nothing behind the end', () => {
  const found = discardableRanges(
    [{ start: 64 * mebibyte, size: 4096 }],
    { start: 0, end: 32 * mebibyte },
    { granularity: 4096, alignment: 0 },
  );
  assert.deepEqual(found, [{ start: 0, size: 32 * mebibyte }]);
});

test('frees ranges of a drive that it holds open, and nothing else', { skip: loopDevicesMissing }, async (t) => {
  const folder = await temporaryFolder(t);
  const card = await attachUsedCard(t, path.join(folder, 'card'), 64 * mebibyte);
  const drive = await examineDrive(card.path);
  const discarding = await planDiscard(drive);
  assert.ok(typeof discarding !== 'string');
  const before = (await stat(card.file)).blocks * 512;
  const opened = await openDrive(drive);
  const done: number[] = [];
  try {
    const range = { start: 16 * mebibyte, size: 32 * mebibyte };
    await discard(drive, [range], discarding, {
      signal: new AbortController().signal,
      onDone: (bytes) => done.push(bytes),
    });
  } finally {
    await opened.handle.close();
  }
  assert.deepEqual(done, [32 * mebibyte]);
  assert.equal((await stat(card.file)).blocks * 512, before - 32 * mebibyte);
  assert.deepEqual(await bytesAt(card.path, 16 * mebibyte - 4096, 4096), Buffer.alloc(4096, 0xaa));
  assert.deepEqual(await bytesAt(card.path, 48 * mebibyte, 4096), Buffer.alloc(4096, 0xaa));
});

test('says why a file cannot be discarded', async (t) => {
  const file = path.join(await temporaryFolder(t), 'card');
  await fillFile(file, mebibyte, 0);
  assert.equal(await planDiscard(await examineDrive(file)), 'it is a file');
});
