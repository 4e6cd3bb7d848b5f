import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { davit, davitJson } from '../support/davit.js';
import { attachLoopDevice, attachUsedCard, checked, fillFile, loopDevicesMissing } from '../support/loop-device.js';
import { makeOsImage } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const skip = loopDevicesMissing;

interface Listed {
  readonly path: string;
  readonly size: number;
  readonly bus: string | null;
  readonly contents: readonly string[];
  readonly flashable: boolean;
  readonly reason: string | null;
}

async function listed(path: string): Promise<Listed | undefined> {
  const { exitCode, document } = await davitJson(['drives']);
  assert.equal(exitCode, 0);
  return (document as { drives: Listed[] }).drives.find((drive) => drive.path === path);
}

test('lists a card with its size and what is on it, as flashable', { skip }, async (t) => {
  const image = await makeOsImage(path.join(await temporaryFolder(t), 'card'));
  const card = await attachLoopDevice(t, image.path, { scanPartitions: true });
  await checked(['partx', '--update', card.path]);
  const drive = await listed(card.path);
  assert.deepEqual(
    { ...drive, contents: drive?.contents.filter((label) => label.startsWith('resin')) },
    {
      ...drive,
      size: image.size,
      bus: 'loop',
      flashable: true,
      reason: null,
      contents: ['resin-boot', 'resin-rootA', 'resin-rootB', 'resin-state', 'resin-data'],
    },
  );
});

test('lists a mounted drive as not flashable, with the reason', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const card = await attachUsedCard(t, path.join(folder, 'card'), 16 * 1024 * 1024);
  await checked(['mkfs.ext4', '-q', '-F', card.path]);
  const mountPoint = path.join(folder, 'mounted');
  await mkdir(mountPoint);
  await checked(['mount', card.path, mountPoint]);
  try {
    const drive = await listed(card.path);
    assert.equal(drive?.flashable, false);
    assert.ok(drive.reason?.includes(`mounted at ${mountPoint}`), drive.reason ?? '');
  } finally {
    await checked(['umount', mountPoint]);
  }
});

test('leaves out loop devices without a file and those that are read-only', { skip }, async (t) => {
  const file = path.join(await temporaryFolder(t), 'card');
  await fillFile(file, 1024 * 1024, 0);
  const card = await attachLoopDevice(t, file, { readOnly: true });
  assert.equal(await listed(card.path), undefined);
  await card.detach();
  assert.equal(await listed(card.path), undefined);
});

test('prints a table for people', { skip }, async (t) => {
  const card = await attachUsedCard(t, path.join(await temporaryFolder(t), 'card'), 64 * 1024 * 1024);
  const { exitCode, stdout } = await davit(['drives']);
  assert.equal(exitCode, 0);
  assert.match(stdout, /^PATH +SIZE +MODEL +SERIAL +BUS +REMOVABLE +CONTENTS +FLASHABLE$/m);
  assert.match(stdout, new RegExp(`^${card.path} +67\\.1 MB .* yes$`, 'm'));
});
