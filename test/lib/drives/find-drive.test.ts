import assert from 'node:assert/strict';
import { symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { findDrive } from '../../../src/lib/drives/find-drive.js';
import type { HostView } from '../../../src/lib/drives/host-view.js';
import { Failure } from '../../../src/lib/failure/failure.js';
import { fakeHost } from '../../support/fake-host.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

/** A stick, and a reader whose two slots have one serial number. */
function someHost(t: TestContext): Promise<HostView> {
  const at = (port: string, unit: number) =>
    `pci0000:00/0000:00:14.0/usb1/${port}/${port}:1.0/host6/target6:0:0/6:0:0:${unit}/block`;
  const serial = (number: string) => ({ size: '62500000', '../../../../../../serial': number });
  return fakeHost(t, {
    devices: {
      sdy: { number: '65:128', at: at('1-1', 0), attributes: serial('4C53aB') },
      sdz1r: { number: '65:144', at: at('1-2', 0), attributes: serial('READER') },
      sdz2r: { number: '65:160', at: at('1-2', 1), attributes: serial('READER') },
    },
    links: { 'by-id/usb-SanDisk_Ultra_4C53aB-0:0': 'sdy', 'by-path/platform-x.usb-usb-0:1.2:1.0': 'sdy' },
  });
}

const failed = (code: string, kind: string) => (error: unknown) =>
  error instanceof Failure && error.code === code && error.kind === kind;

for (const called of [
  '4C53aB',
  '4c53AB',
  'usb-1-1',
  'sdy',
  'usb-SanDisk_Ultra_4C53aB-0:0',
  'platform-x.usb-usb-0:1.2:1.0',
]) {
  test(`finds a drive that is called ${called}`, async (t) => {
    assert.equal((await findDrive(called, { host: await someHost(t) })).path, '/dev/sdy');
  });
}

test('tells the slots of a reader apart by their slots, not by their serial number', async (t) => {
  const host = await someHost(t);
  assert.equal((await findDrive('usb-1-2', { host })).path, '/dev/sdz1r');
  assert.equal((await findDrive('usb-1-2:1', { host })).path, '/dev/sdz2r');
  await assert.rejects(findDrive('READER', { host }), (error: unknown) => {
    assert.ok(failed('drive-ambiguous', 'usage')(error) && error instanceof Failure);
    assert.match(error.message, /\/dev\/sdz1r in usb-1-2, \/dev\/sdz2r in usb-1-2:1/);
    return true;
  });
});

for (const called of ['4C53', 'usb-1-3.2', 'usb-SanDisk_Ultra_4C53aC-0:0', 'platform-fe340000.mmc', 'sdb9', 'card']) {
  test(`takes ${called} for a drive that is not there, not for a file to make`, async (t) => {
    await assert.rejects(findDrive(called, { host: await someHost(t) }), failed('drive-not-found', 'not-found'));
  });
}

test('takes a path and a name that ends like that of an image for a file to make', async (t) => {
  const [host, folder] = [await someHost(t), await temporaryFolder(t)];
  for (const called of [path.join(folder, 'card'), path.join(folder, 'a.b.img'), 'card-of-this-test.img', './card']) {
    const { isFile, isNew, path: file } = await findDrive(called, { host });
    assert.deepEqual({ isFile, isNew, file }, { isFile: true, isNew: true, file: called });
  }
});

test('makes nothing below /dev, and no file in a folder that is not there', async (t) => {
  const [host, folder] = [await someHost(t), await temporaryFolder(t)];
  await symlink('/dev', path.join(folder, 'devices'));
  for (const called of [
    '/dev/sdzz',
    '/dev/disk/by-id/usb-x.img',
    '/tmp/../dev/card.img',
    path.join(folder, 'no', 'card.img'),
    path.join(folder, 'devices', 'card.img'),
  ]) {
    await assert.rejects(findDrive(called, { host }), failed('enoent', 'not-found'), called);
  }
});

test('takes what is there as a file before any drive', async (t) => {
  const [host, folder] = [await someHost(t), await temporaryFolder(t)];
  const file = path.join(folder, 'sdy');
  await writeFile(file, 'x');
  assert.equal((await findDrive(file, { host })).isFile, true);
});
