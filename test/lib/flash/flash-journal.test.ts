import assert from 'node:assert/strict';
import { readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { fingerprintOf, FlashJournal, removeOldJournals } from '../../../src/lib/flash/flash-journal.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const card = { path: '/dev/sdy', isFile: false, size: 32e9, bus: 'usb', model: 'Ultra', serial: '4C53' };
const image = { name: 'balena.img', size: 2e9, fingerprint: fingerprintOf(Buffer.from('table')) };
const day = 24 * 60 * 60 * 1000;

test('knows how far the same image came on the same card, also under another path', async (t) => {
  const folder = await temporaryFolder(t);
  const journal = new FlashJournal(card, image, folder);
  assert.equal(await journal.reached(), undefined);
  await journal.record(0);
  assert.equal(await journal.reached(), 0);
  await journal.record(1.2e9);
  const elsewhere = { ...card, path: '/dev/sdz' };
  assert.equal(await new FlashJournal(elsewhere, { ...image, name: 'renamed.img' }, folder).reached(), 1.2e9);
  assert.deepEqual((await readdir(folder)).length, 1);
});

test('knows nothing of another card, another image or another size', async (t) => {
  const folder = await temporaryFolder(t);
  await new FlashJournal(card, image, folder).record(5e8);
  const reached = async (drive: Partial<typeof card>, other: Partial<typeof image>) =>
    new FlashJournal({ ...card, ...drive }, { ...image, ...other }, folder).reached();
  assert.equal(await reached({}, {}), 5e8);
  assert.equal(await reached({ serial: '4C54' }, {}), undefined);
  assert.equal(await reached({ size: 16e9 }, {}), undefined);
  assert.equal(await reached({ isFile: true, path: folder }, {}), undefined);
  assert.equal(await reached({}, { size: 2e9 + 512 }), undefined);
  assert.equal(await reached({}, { fingerprint: fingerprintOf(Buffer.from('other')) }), undefined);
});

test('tells drives without a serial number apart by where they are', async (t) => {
  const folder = await temporaryFolder(t);
  const plain = { ...card, serial: undefined };
  await new FlashJournal(plain, image, folder).record(5e8);
  assert.equal(await new FlashJournal(plain, image, folder).reached(), 5e8);
  assert.equal(await new FlashJournal({ ...plain, path: '/dev/sdz' }, image, folder).reached(), undefined);
});

test('forgets a flash that is done and one of long ago, and leaves no other files', async (t) => {
  const folder = await temporaryFolder(t);
  const journal = new FlashJournal(card, image, folder);
  await journal.record(1);
  await journal.remove();
  await journal.remove();
  assert.deepEqual(await readdir(folder), []);
  await journal.record(2);
  assert.equal(await journal.reached(Date.now() + 29 * day), 2);
  assert.equal(await journal.reached(Date.now() + 31 * day), undefined);
  await removeOldJournals(folder, Date.now() + 29 * day);
  assert.equal((await readdir(folder)).length, 1);
  await removeOldJournals(folder, Date.now() + 31 * day);
  assert.deepEqual(await readdir(folder), []);
  await removeOldJournals(path.join(folder, 'none'));
});

test('takes a damaged journal for none, and keeps its folder to its owner', async (t) => {
  const folder = path.join(await temporaryFolder(t), 'state', 'flash');
  const journal = new FlashJournal(card, image, folder);
  await journal.record(7);
  assert.equal((await stat(folder)).mode & 0o777, 0o700);
  const [name = ''] = await readdir(folder);
  const file = path.join(folder, name);
  const good = await readFile(file, 'utf8');
  for (const text of ['', 'null', '{"version":1}', good.replace('"version": 1', '"version": 2'), good.slice(0, -5)]) {
    await writeFile(file, text);
    assert.equal(await journal.reached(), undefined, text);
  }
  await writeFile(file, good.replace('"reached": 7', '"reached": -7'));
  assert.equal(await journal.reached(), 0);
  await utimes(file, 0, 0);
  assert.equal(await journal.reached(), undefined);
});
