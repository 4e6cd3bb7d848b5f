import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { davit, davitJson, davitProgram } from '../support/davit.js';
import {
  attachLoopDevice,
  attachPartitionedCard,
  attachUsedCard,
  checked,
  fillFile,
  loopDevicesMissing,
} from '../support/loop-device.js';
import { makeOsImage } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { openTerminal } from '../support/terminal.js';

const mebibyte = 1024 * 1024;
const skip = loopDevicesMissing;

interface Listed {
  readonly path: string;
  readonly size: number;
  readonly bus: string | null;
  readonly contents: readonly string[];
  readonly flashable: boolean;
  readonly reason: string | null;
  readonly refusals: readonly { readonly code: string; readonly flag: string | null }[];
  readonly partitions: readonly {
    readonly number: number | null;
    readonly size: number;
    readonly fileSystem: string | null;
    readonly label: string | null;
    readonly name: string | null;
    readonly mountPoints: readonly string[];
  }[];
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

test('does not let the label of a card take over the terminal', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const card = await attachUsedCard(t, path.join(folder, 'card'), 16 * 1024 * 1024);
  await checked(['mkfs.ext4', '-q', '-F', '-L', '\u001B[2J\u001B[H', card.path]);
  const { stdout } = await davit(['drives']);
  assert.match(stdout, /looks like somebody's data/);
  assert.ok(!stdout.includes('\u001B'));
  const { path: image } = await makeOsImage(path.join(folder, 'image'));
  const { stderr } = await davit(['flash', image, '--drive', card.path, '--yes']);
  assert.match(stderr, /looks like somebody's data/);
  assert.ok(!stderr.includes('\u001B'));
});

test('leaves out loop devices without a file and those that are read-only', { skip }, async (t) => {
  const file = path.join(await temporaryFolder(t), 'card');
  const size = 1024 * 1024;
  await fillFile(file, size, 0);
  const card = await attachLoopDevice(t, file, { readOnly: true });
  assert.equal(await listed(card.path), undefined);
  await card.detach();
  // Another test may have got the same device by now.
  assert.notEqual((await listed(card.path))?.size, size);
});

test('tells all about a drive: sizes, file systems, mounts, who may overrule what', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const card = await attachPartitionedCard(t, path.join(folder, 'card'));
  await checked(['mkfs.ext4', '-q', '-F', '-L', 'Bäckup "1"', `${card.path}p1`]);
  await checked(['mkswap', `${card.path}p2`]);
  const mountPoint = path.join(folder, 'mounted');
  await mkdir(mountPoint);
  await checked(['mount', `${card.path}p1`, mountPoint]);
  try {
    const drive = await listed(card.path);
    assert.deepEqual(
      drive?.partitions.map(({ number, size, fileSystem, label, name, mountPoints }) => {
        return { number, size, fileSystem, label, name, mountPoints };
      }),
      [
        {
          number: 1,
          size: 16 * mebibyte,
          fileSystem: 'ext4',
          label: 'Bäckup "1"',
          name: 'my pictures',
          mountPoints: [mountPoint],
        },
        { number: 2, size: 8 * mebibyte, fileSystem: 'swap', label: null, name: null, mountPoints: [] },
      ],
    );
    assert.deepEqual(
      drive.refusals.map(({ code, flag }) => ({ code, flag })),
      [
        { code: 'drive-mounted', flag: '--unmount' },
        { code: 'drive-holds-data', flag: '--force-data' },
      ],
    );
  } finally {
    await checked(['umount', mountPoint]);
  }
});

test(
  'prints what can be flashed first, then what cannot with the reasons, within 80 columns on a terminal',
  { skip },
  async (t) => {
    const folder = await temporaryFolder(t);
    const card = await attachUsedCard(t, path.join(folder, 'card'), 64 * mebibyte);
    const mounted = await attachUsedCard(t, path.join(folder, 'mounted'), 64 * mebibyte);
    await checked(['mkfs.ext4', '-q', '-F', '-L', 'Backup', mounted.path]);
    const terminal = await openTerminal(`${davitProgram.join(' ')} drives; echo ended; cat`);
    t.after(() => terminal.close());
    const screen = await terminal.until(/ended/);
    assert.match(screen, /^PATH +SIZE +MODEL +SERIAL +SLOT +CONTENTS$/m);
    assert.match(screen, new RegExp(`^${card.path} +67\\.1 MB `, 'm'));
    const [, below = ''] = screen.split('Not to be flashed:');
    assert.match(
      below,
      new RegExp(`^${mounted.path} .*\n +${mounted.path} looks like somebody's data: ext4 "Backup"`, 'm'),
    );
    assert.match(below, /--force-data/);
  },
);
