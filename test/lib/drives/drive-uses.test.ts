import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { findDriveUses } from '../../../src/lib/drives/drive-uses.js';
import type { HostView } from '../../../src/lib/drives/host-view.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

interface FakeDevice {
  readonly number: string;
  readonly partitions?: Readonly<Record<string, string>>;
  /** Who holds the device or its partitions. */
  readonly holders?: Readonly<Record<string, readonly string[]>>;
  /** More files of /sys. */
  readonly attributes?: Readonly<Record<string, string>>;
}

/** A /sys and /proc with these devices, mounts (`8:1 /boot [source]`) and swap devices. */
async function fakeHost(
  t: TestContext,
  devices: Readonly<Record<string, FakeDevice>>,
  mounts: readonly string[] = [],
  swaps: readonly string[] = [],
): Promise<HostView> {
  const root = await temporaryFolder(t);
  const [sysfs, procfs] = [path.join(root, 'sys'), path.join(root, 'proc')];
  const write = async (file: string, text: string) => {
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, `${text}\n`);
  };
  await mkdir(path.join(sysfs, 'class', 'block'), { recursive: true });
  await mkdir(path.join(sysfs, 'block'), { recursive: true });
  for (const [name, device] of Object.entries(devices)) {
    const folder = path.join(sysfs, 'devices', name);
    await write(path.join(folder, 'dev'), device.number);
    for (const [file, text] of Object.entries(device.attributes ?? {})) await write(path.join(folder, file), text);
    for (const [partition, number] of Object.entries(device.partitions ?? {})) {
      await write(path.join(folder, partition, 'dev'), number);
      await write(path.join(folder, partition, 'partition'), '1');
      await symlink(path.join(folder, partition), path.join(sysfs, 'class', 'block', partition));
    }
    for (const [held, holders] of Object.entries(device.holders ?? {})) {
      for (const holder of holders) {
        await mkdir(path.join(held === name ? folder : path.join(folder, held), 'holders', holder), {
          recursive: true,
        });
      }
    }
    await symlink(folder, path.join(sysfs, 'class', 'block', name));
    await symlink(folder, path.join(sysfs, 'block', name));
  }
  const lines = mounts.map((mount, index) => {
    const [number = '', point = '', source = 'none'] = mount.split(' ');
    return `${20 + index} 1 ${number} / ${point} rw,relatime shared:1 - ext4 ${source} rw`;
  });
  await write(path.join(procfs, 'self', 'mountinfo'), lines.join('\n'));
  const header = 'Filename Type Size Used Priority';
  await write(path.join(procfs, 'swaps'), [header, ...swaps.map((swap) => `${swap} partition 8 0 -2`)].join('\n'));
  return { sysfs, procfs };
}

const sda: FakeDevice = { number: '8:0', partitions: { sda1: '8:1', sda2: '8:2' } };
const summary = async (name: string, host: HostView) =>
  (await findDriveUses(name, host)).map(({ kind, text }) => `${kind}: ${text}`);

test('finds nothing on a drive that nobody uses', async (t) => {
  const host = await fakeHost(t, { sda, sdb: { number: '8:16', partitions: { sdb1: '8:17' } } }, ['8:1 /']);
  assert.deepEqual(await summary('sdb', host), []);
});

test('finds the running system on a partition, before anything else', async (t) => {
  const host = await fakeHost(t, { sda }, ['8:2 /media/stick', '8:1 /boot/efi']);
  assert.deepEqual(await summary('sda', host), [
    'system: /dev/sda1 is mounted at /boot/efi',
    'mounted: /dev/sda2 is mounted at /media/stick',
  ]);
});

test('does not take sdaa for a partition of sda', async (t) => {
  const host = await fakeHost(t, { sda, sdaa: { number: '65:160' } }, ['65:160 /media/other']);
  assert.deepEqual(await summary('sda', host), []);
});

test('reads mount points with spaces', async (t) => {
  const host = await fakeHost(t, { sda }, ['8:1 /media/my\\040stick']);
  assert.deepEqual(await summary('sda', host), ['mounted: /dev/sda1 is mounted at /media/my stick']);
});

test('finds swap', async (t) => {
  const host = await fakeHost(t, { sda }, [], ['/dev/sda2']);
  assert.deepEqual(await summary('sda', host), ['swap: /dev/sda2 is used as swap']);
});

test('finds btrfs by the drive it names, because its device number is its own', async (t) => {
  const host = await fakeHost(t, { sda }, ['0:31 / /dev/sda2']);
  assert.deepEqual(await summary('sda', host), ['system: /dev/sda2 is mounted at /']);
});

test('finds the running system through encryption and LVM', async (t) => {
  const host = await fakeHost(
    t,
    {
      sda: { ...sda, holders: { sda2: ['dm-0'] } },
      'dm-0': {
        number: '253:0',
        holders: { 'dm-0': ['dm-1'] },
        attributes: { 'dm/uuid': 'CRYPT-LUKS2-1', 'dm/name': 'crypt' },
      },
      'dm-1': { number: '253:1', attributes: { 'dm/uuid': 'LVM-abc', 'dm/name': 'vg-root' } },
    },
    ['253:1 /'],
  );
  assert.deepEqual(await summary('sda', host), [
    'system: /dev/dm-1 (LVM volume vg-root on /dev/dm-0) is mounted at /',
    'held: /dev/dm-0 (encrypted volume crypt on /dev/sda2)',
    'held: /dev/dm-1 (LVM volume vg-root on /dev/dm-0)',
  ]);
});

test('finds a RAID array that is not mounted', async (t) => {
  const host = await fakeHost(t, {
    sda: { ...sda, holders: { sda: ['md0'] } },
    md0: { number: '9:0', attributes: { 'md/level': 'raid1' } },
  });
  assert.deepEqual(await summary('sda', host), ['held: /dev/md0 (RAID array, raid1, on /dev/sda)']);
});

test('finds swap on an LVM volume', async (t) => {
  const host = await fakeHost(
    t,
    {
      sda: { ...sda, holders: { sda1: ['dm-3'] } },
      'dm-3': { number: '253:3', attributes: { 'dm/uuid': 'LVM-abc', 'dm/name': 'vg-swap' } },
    },
    [],
    ['/dev/dm-3'],
  );
  assert.equal((await summary('sda', host))[0], 'swap: /dev/dm-3 (LVM volume vg-swap on /dev/sda1) is used as swap');
});

test('finds a loop device made of a partition, which the kernel does not list as a holder', async (t) => {
  const host = await fakeHost(t, { sda, loop0: { number: '7:0', attributes: { 'loop/backing_file': '/dev/sda1' } } }, [
    '7:0 /mnt',
  ]);
  assert.deepEqual(await summary('sda', host), [
    'mounted: /dev/loop0 (loop device on /dev/sda1) is mounted at /mnt',
    'held: /dev/loop0 (loop device on /dev/sda1)',
  ]);
});
