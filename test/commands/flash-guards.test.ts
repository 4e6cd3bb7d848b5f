import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, link, mkdir, open, readFile, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { unmountDrive } from '../../src/lib/drives/unmount-drive.js';
import { asNobody, davit, davitJson, runProgram, startDavit } from '../support/davit.js';
import { bytesAt } from '../support/disk-content.js';
import {
  attachLoopDevice,
  attachPartitionedCard,
  attachUsedCard,
  checked,
  fillFile,
  loopDevicesMissing,
} from '../support/loop-device.js';
import { lvmMember, raidMember } from '../support/member-signature.js';
import { makeOsImage, type OsImage } from '../support/os-image.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const mebibyte = 1024 * 1024;
const skip = loopDevicesMissing;

async function mountPointsOf(device: string): Promise<string[]> {
  const { stdout } = await runProgram(['findmnt', '--noheadings', '--output', 'TARGET', '--source', device]);
  return stdout.split('\n').filter((line) => line !== '');
}

async function someImage(t: TestContext): Promise<{ readonly folder: string; readonly image: OsImage }> {
  const folder = await temporaryFolder(t);
  return { folder, image: await makeOsImage(path.join(folder, 'image.img')) };
}

/** Runs davit flash without any harm done, and gives the code and exit code of its refusal. */
async function refusal(
  words: readonly string[],
): Promise<{ code: string; exitCode: number; hint?: string; message: string }> {
  const { exitCode, document } = await davitJson(['flash', ...words]);
  const { error } = document as { error: { code: string; exitCode: number; hint?: string; message: string } };
  assert.equal(error.exitCode, exitCode);
  return error;
}

/** The drive that holds /, which must never be opened for writing: these tests only ever ask for a dry run. */
function systemDrive(): string | undefined {
  const source = execFileSync('findmnt', ['--noheadings', '--nofsroot', '--output', 'SOURCE', '/'], {
    encoding: 'utf8',
  }).trim();
  if (!source.startsWith('/dev/')) return undefined;
  const parent = execFileSync('lsblk', ['--noheadings', '--nodeps', '--output', 'PKNAME', source], {
    encoding: 'utf8',
  });
  return parent.trim() === '' ? source : `/dev/${parent.trim()}`;
}

test('refuses the drive that holds the running system', { skip }, async (t) => {
  const drive = systemDrive();
  if (drive === undefined) {
    t.skip('/ is on no drive here');
    return;
  }
  const { image } = await someImage(t);
  const { code, exitCode } = await refusal([image.path, '--drive', drive, '--dry-run']);
  assert.deepEqual({ code, exitCode }, { code: 'system-drive', exitCode: 4 });
});

test('refuses a drive with a mounted file system, naming where it is mounted', { skip }, async (t) => {
  const { folder, image } = await someImage(t);
  const card = await attachUsedCard(t, path.join(folder, 'card'), 2 * image.size);
  await checked(['mkfs.ext4', '-q', '-F', card.path]);
  const mountPoint = path.join(folder, 'mounted here');
  await mkdir(mountPoint);
  await checked(['mount', card.path, mountPoint]);
  const before = await card.sectorsWritten();
  try {
    const { code, exitCode, message } = await refusal([image.path, '--drive', card.path, '--yes']);
    assert.deepEqual({ code, exitCode }, { code: 'drive-mounted', exitCode: 4 });
    assert.ok(message.includes(mountPoint), message);
    assert.equal(await card.sectorsWritten(), before);
  } finally {
    await checked(['umount', mountPoint]);
  }
});

test('unmounts what is mounted when told so, also one inside another, and then writes', { skip }, async (t) => {
  const { folder, image } = await someImage(t);
  const card = await attachUsedCard(t, path.join(folder, 'card'), 2 * image.size);
  await checked(['mkfs.ext4', '-q', '-F', card.path]);
  const mountPoint = path.join(folder, 'mounted here');
  await mkdir(mountPoint);
  await checked(['mount', card.path, mountPoint]);
  try {
    await mkdir(path.join(mountPoint, 'inside'));
    await checked(['mount', '--bind', mountPoint, path.join(mountPoint, 'inside')]);
    const words = ['flash', image.path, '--drive', card.path, '--unmount', '--yes'];
    assert.equal((await davit([...words, '--dry-run'])).exitCode, 0);
    assert.ok((await mountPointsOf(card.path)).includes(mountPoint), 'a dry run unmounts nothing');
    assert.equal((await davit(words)).exitCode, 0);
    assert.deepEqual(await mountPointsOf(card.path), []);
  } finally {
    await runProgram(['umount', '--recursive', mountPoint]);
  }
  assert.ok((await bytesAt(card.path, 0, 4096)).equals(await bytesAt(image.path, 0, 4096)));
});

test('unmounts partitions one inside another whatever their order on the drive', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const card = await attachPartitionedCard(t, path.join(folder, 'card'));
  for (const part of ['p1', 'p2']) await checked(['mkfs.ext4', '-q', '-F', card.path + part]);
  const mountPoint = path.join(folder, 'mounted');
  await mkdir(mountPoint);
  await checked(['mount', `${card.path}p2`, mountPoint]);
  try {
    await mkdir(path.join(mountPoint, 'inside'));
    await checked(['mount', `${card.path}p1`, path.join(mountPoint, 'inside')]);
    await unmountDrive(card);
    for (const part of ['p1', 'p2']) assert.deepEqual(await mountPointsOf(card.path + part), []);
  } finally {
    await runProgram(['umount', '--recursive', mountPoint]);
  }
});

test('leaves a drive alone whose file system is in use', { skip }, async (t) => {
  const { folder, image } = await someImage(t);
  const card = await attachUsedCard(t, path.join(folder, 'card'), 2 * image.size);
  await checked(['mkfs.ext4', '-q', '-F', card.path]);
  const mountPoint = path.join(folder, 'mounted');
  await mkdir(mountPoint);
  await checked(['mount', card.path, mountPoint]);
  const user = spawn('cat', { cwd: mountPoint, stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    await once(user, 'spawn');
    const { code, exitCode } = await refusal([image.path, '--drive', card.path, '--unmount', '--yes']);
    assert.deepEqual({ code, exitCode }, { code: 'unmount-failed', exitCode: 4 });
    assert.deepEqual(await mountPointsOf(card.path), [mountPoint]);
  } finally {
    user.stdin.end();
    await once(user, 'exit');
    await checked(['umount', mountPoint]);
  }
});

test('without root it unmounts nothing, and says the one command line that does', { skip }, async (t) => {
  const { folder, image } = await someImage(t);
  const card = await attachUsedCard(t, path.join(folder, 'card'), 2 * image.size);
  await checked(['mkfs.ext4', '-q', '-F', card.path]);
  const mountPoint = path.join(folder, 'mounted');
  await mkdir(mountPoint);
  await checked(['chmod', '755', folder]);
  await checked(['mount', card.path, mountPoint]);
  try {
    const words = ['flash', image.path, '--drive', card.path, '--unmount', '--yes'];
    const { exitCode, stderr } = await davit(words, { wrapper: asNobody });
    assert.equal(exitCode, 7, stderr);
    assert.match(stderr, /^Run it as root: sudo .* --unmount --yes$/m);
    assert.deepEqual(await mountPointsOf(card.path), [mountPoint]);
  } finally {
    await checked(['umount', mountPoint]);
  }
});

test("refuses a drive with somebody's data on it, and writes it when that is said", { skip }, async (t) => {
  const { folder, image } = await someImage(t);
  const card = await attachUsedCard(t, path.join(folder, 'card'), 2 * image.size);
  await checked(['mkfs.ext4', '-q', '-F', '-L', 'Backup', card.path]);
  const before = await card.sectorsWritten();
  const { code, exitCode, hint } = await refusal([image.path, '--drive', card.path, '--yes']);
  assert.deepEqual({ code, exitCode }, { code: 'drive-holds-data', exitCode: 4 });
  assert.match(hint ?? '', /--force-data/);
  assert.equal(await card.sectorsWritten(), before);
  assert.equal((await davit(['flash', image.path, '--drive', card.path, '--force-data', '--yes'])).exitCode, 0);
});

test('refuses a drive larger than a card is, which may be said in the environment', { skip }, async (t) => {
  const { folder, image } = await someImage(t);
  const card = await attachUsedCard(t, path.join(folder, 'card'), image.size);
  const tryWith = (limit: string, ...words: string[]) =>
    davitJson(['flash', image.path, '--drive', card.path, '--dry-run', ...words], {
      environment: { DAVIT_LARGE_DRIVE: limit },
    });
  const codeOf = (document: unknown) => (document as { error?: { code: string } }).error?.code;
  assert.equal(codeOf((await tryWith('1GB')).document), undefined);
  assert.equal(codeOf((await tryWith('1.5 MB')).document), 'drive-large');
  assert.equal(codeOf((await tryWith('1000', '--force-large')).document), undefined);
  assert.equal(codeOf((await tryWith('many')).document), 'invalid-size');
});

for (const [what, signature] of [
  ['RAID', raidMember()],
  ['LVM', lvmMember()],
] as const) {
  test(`refuses a part of ${what} that nothing runs on, whatever is said`, { skip }, async (t) => {
    const { folder, image } = await someImage(t);
    const file = path.join(folder, 'card');
    await fillFile(file, 2 * image.size, 0);
    const handle = await open(file, 'r+');
    await handle.write(signature.bytes, 0, null, signature.at);
    await handle.close();
    const card = await attachLoopDevice(t, file);
    const everything = ['--force-data', '--force-fixed', '--force-large', '--unmount'];
    const { code, exitCode, hint } = await refusal([image.path, '--drive', card.path, '--yes', ...everything]);
    assert.deepEqual({ code, exitCode }, { code: 'drive-in-use', exitCode: 4 });
    assert.match(hint ?? '', /wipefs/);
  });
}

test('refuses a file that is attached to a loop device, under any of its names', { skip }, async (t) => {
  const { folder, image } = await someImage(t);
  const file = path.join(folder, 'card');
  const card = await attachUsedCard(t, file, image.size);
  await link(file, `${file}.link`);
  for (const name of [file, `${file}.link`]) {
    const { code, exitCode, message } = await refusal([image.path, '--drive', name, '--yes']);
    assert.deepEqual({ code, exitCode }, { code: 'drive-in-use', exitCode: 4 });
    assert.ok(message.includes(card.path), message);
  }
});

for (const kind of ['file', 'drive'] as const) {
  test(
    `refuses a ${kind} that another davit is writing, and says which`,
    { skip: kind === 'drive' && skip },
    async (t) => {
      const { folder, image } = await someImage(t);
      const file = path.join(folder, 'card');
      await fillFile(file, image.size, 0);
      const drive = kind === 'file' ? file : (await attachLoopDevice(t, file)).path;
      // Another davit that waits for the rest of its image, with the card open.
      const bytes = await readFile(image.path);
      const other = startDavit(['flash', '-', '--drive', drive, '--yes', '--progress', 'json']);
      try {
        other.stdin?.write(bytes.subarray(0, bytes.length - mebibyte));
        await once(other.stderr ?? other, 'data');
        const { code, exitCode, message } = await refusal([image.path, '--drive', drive, '--yes']);
        assert.deepEqual({ code, exitCode }, { code: 'drive-in-use', exitCode: 4 });
        assert.ok(message.includes(`(process ${other.pid ?? 0})`), message);
        // The lock by which udev keeps its hands off.
        assert.equal((await runProgram(['flock', '--nonblock', drive, 'true'])).exitCode, 1);
      } finally {
        other.kill('SIGKILL');
        await once(other, 'exit');
      }
      assert.equal((await davit(['flash', image.path, '--drive', drive, '--yes'])).exitCode, 0);
    },
  );
}

test('makes a file that is not there as large as the image, without taking more room', async (t) => {
  const { folder, image } = await someImage(t);
  const file = path.join(folder, 'new card.img');
  assert.equal((await davit(['flash', image.path, '--drive', file, '--yes', '--dry-run'])).exitCode, 0);
  await assert.rejects(stat(file));
  const { exitCode, stderr } = await davit(['flash', image.path, '--drive', file, '--yes']);
  assert.equal(exitCode, 0, stderr);
  const { size, blocks } = await stat(file);
  assert.equal(size, image.size);
  assert.ok(blocks * 512 < size, `${blocks} blocks`);
  assert.ok((await bytesAt(file, 0, 4096)).equals(await bytesAt(image.path, 0, 4096)));
});

test('leaves no file behind that it made when the image turns out to be none', async (t) => {
  const { folder, image } = await someImage(t);
  const packed = path.join(folder, 'image.gz');
  await checked(['sh', '-c', `gzip -1 <'${image.path}' | head -c 100000 >'${packed}'`]);
  const file = path.join(folder, 'new.img');
  const { exitCode } = await davit(['flash', packed, '--drive', file, '--yes']);
  assert.notEqual(exitCode, 0);
  await assert.rejects(stat(file));
});

test('asks for the drive where nobody can be asked, and never takes --yes for a choice', async (t) => {
  const { image } = await someImage(t);
  for (const words of [[], ['--yes'], ['--dry-run']]) {
    const { code, exitCode, hint } = await refusal([image.path, ...words]);
    assert.deepEqual({ code, exitCode }, { code: 'answer-needed', exitCode: 2 });
    assert.match(hint ?? '', /--drive/);
  }
});

test('refuses a drive that another program holds', { skip }, async (t) => {
  const { folder, image } = await someImage(t);
  const card = await attachUsedCard(t, path.join(folder, 'card'), image.size);
  // The kernel locks a device under a mounted file system in the same way.
  const hold = `const { constants, openSync } = require('node:fs');
    openSync(process.argv[1], constants.O_RDWR | constants.O_EXCL);
    console.log('held');
    process.stdin.resume();`;
  const child = spawn(process.execPath, ['-e', hold, card.path], { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  try {
    const { code, exitCode } = await refusal([image.path, '--drive', card.path, '--yes']);
    assert.deepEqual({ code, exitCode }, { code: 'drive-in-use', exitCode: 4 });
  } finally {
    child.stdin.end();
  }
});

test('refuses a drive that a loop device is made of', { skip }, async (t) => {
  const { folder, image } = await someImage(t);
  const card = await attachUsedCard(t, path.join(folder, 'card'), 2 * image.size);
  await attachLoopDevice(t, card.path);
  const { code, exitCode } = await refusal([image.path, '--drive', card.path, '--yes']);
  assert.deepEqual({ code, exitCode }, { code: 'drive-in-use', exitCode: 4 });
});

test('refuses a write-protected drive', { skip }, async (t) => {
  const { folder, image } = await someImage(t);
  const file = path.join(folder, 'card');
  await fillFile(file, image.size, 0);
  const card = await attachLoopDevice(t, file, { readOnly: true });
  const { code, exitCode } = await refusal([image.path, '--drive', card.path, '--yes']);
  assert.deepEqual({ code, exitCode }, { code: 'drive-read-only', exitCode: 4 });
});

for (const format of ['raw', 'gzip'] as const) {
  test(`refuses a drive smaller than a ${format} image before it is touched`, { skip }, async (t) => {
    const { folder, image } = await someImage(t);
    const card = await attachUsedCard(t, path.join(folder, 'card'), image.size - 4 * mebibyte);
    const before = await card.sectorsWritten();
    if (format === 'gzip') await checked(['gzip', '-1', image.path]);
    const source = format === 'gzip' ? `${image.path}.gz` : image.path;
    const { code, exitCode } = await refusal([source, '--drive', card.path, '--yes']);
    assert.deepEqual({ code, exitCode }, { code: 'image-too-large', exitCode: 4 });
    assert.equal(await card.sectorsWritten(), before);
  });
}

test('refuses a partition, naming its drive', { skip }, async (t) => {
  const { folder, image } = await someImage(t);
  const file = path.join(folder, 'card');
  await copyFile(image.path, file);
  const card = await attachLoopDevice(t, file, { scanPartitions: true });
  await checked(['partx', '--update', card.path]);
  const { code, exitCode, hint } = await refusal([image.path, '--drive', `${card.path}p1`, '--yes']);
  assert.deepEqual({ code, exitCode }, { code: 'is-partition', exitCode: 4 });
  assert.ok(hint?.endsWith(` ${card.path}`), hint);
});

test('refuses a drive that is made of the image itself, and the image as its own card', { skip }, async (t) => {
  const { image } = await someImage(t);
  const otherName = `${image.path}.link`;
  await link(image.path, otherName);
  const requireRefused = async (source: string, drive: string) => {
    const { code, exitCode } = await refusal([source, '--drive', drive, '--yes']);
    assert.deepEqual({ code, exitCode }, { code: 'image-on-drive', exitCode: 4 }, `${source} to ${drive}`);
  };
  await requireRefused(image.path, otherName);
  await requireRefused(image.path, image.path);
  const card = await attachLoopDevice(t, image.path);
  await requireRefused(image.path, card.path);
  await requireRefused(card.path, card.path);
});

test('refuses what is no drive', async (t) => {
  const { folder, image } = await someImage(t);
  const empty = path.join(folder, 'empty');
  await writeFile(empty, '');
  for (const [drive, expected] of [
    ['/dev/null', { code: 'not-a-drive', exitCode: 2 }],
    [folder, { code: 'not-a-drive', exitCode: 2 }],
    ['/dev/not-there', { code: 'enoent', exitCode: 3 }],
    [empty, { code: 'no-medium', exitCode: 4 }],
  ] as const) {
    const { code, exitCode } = await refusal([image.path, '--drive', drive, '--yes']);
    assert.deepEqual({ code, exitCode }, expected, drive);
  }
});

test('follows a link such as those in /dev/disk/by-id to the drive', { skip }, async (t) => {
  const { folder, image } = await someImage(t);
  const card = await attachUsedCard(t, path.join(folder, 'card'), image.size);
  const link = path.join(folder, 'usb-SanDisk_Ultra_4C530001-0:0');
  await symlink(card.path, link);
  const { exitCode, document } = await davitJson(['flash', image.path, '--drive', link, '--dry-run']);
  assert.equal(exitCode, 0);
  assert.equal((document as { plan: { drives: { path: string }[] } }).plan.drives[0]?.path, card.path);
});

test('refuses a drive that is given twice', async (t) => {
  const { folder, image } = await someImage(t);
  const card = path.join(folder, 'card');
  await fillFile(card, image.size, 0);
  const link = path.join(folder, 'link');
  await symlink(card, link);
  const { code, exitCode } = await refusal([image.path, '-d', card, '-d', link, '--yes']);
  assert.deepEqual({ code, exitCode }, { code: 'drive-twice', exitCode: 2 });
});

test('refuses what is no image of a disk, and an image whose end is missing', async (t) => {
  const { folder, image } = await someImage(t);
  const card = path.join(folder, 'card');
  await fillFile(card, image.size, 0xaa);
  const text = path.join(folder, 'text');
  await fillFile(text, mebibyte, 0x20);
  const cut = path.join(folder, 'cut');
  await copyFile(image.path, cut);
  await truncate(cut, image.size - 20 * mebibyte);
  const empty = path.join(folder, 'empty');
  await writeFile(empty, '');
  for (const [source, expected] of [
    [text, { code: 'not-an-image', exitCode: 4 }],
    [cut, { code: 'image-truncated', exitCode: 5 }],
    [empty, { code: 'image-empty', exitCode: 5 }],
    [path.join(folder, 'missing'), { code: 'enoent', exitCode: 3 }],
  ] as const) {
    const { code, exitCode } = await refusal([source, '--drive', card, '--yes']);
    assert.deepEqual({ code, exitCode }, expected, source);
  }
});

test('asks for --yes where nobody can be asked', async (t) => {
  const { folder, image } = await someImage(t);
  const card = path.join(folder, 'card');
  await fillFile(card, image.size, 0xaa);
  const { exitCode, stderr } = await davit(['flash', image.path, '--drive', card]);
  assert.equal(exitCode, 2);
  assert.match(stderr, /--yes/);
  assert.deepEqual(await bytesAt(card, 0, 4096), Buffer.alloc(4096, 0xaa));
});

test('without root it says the one command line that works', { skip }, async (t) => {
  const { folder, image } = await someImage(t);
  const card = await attachUsedCard(t, path.join(folder, 'card'), image.size);
  await checked(['chmod', '755', folder]);
  const { exitCode, stderr } = await davit(['flash', image.path, '--drive', card.path, '--yes'], {
    wrapper: asNobody,
  });
  assert.equal(exitCode, 7, stderr);
  assert.match(
    stderr,
    new RegExp(`^Run it as root: sudo /\\S+ /\\S+run.js flash ${image.path} --drive ${card.path} --yes$`, 'm'),
  );
});
