import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readPartitions } from '../../../src/lib/drives/drive-partitions.js';
import { findDriveUses } from '../../../src/lib/drives/drive-uses.js';
import type { HostView } from '../../../src/lib/drives/host-view.js';
import { type FakeDevice, fakeHost } from '../../support/fake-host.js';

const sda: FakeDevice = { number: '8:0', partitions: { sda1: '8:1', sda2: '8:2' } };
const summary = async (name: string, host: HostView) => {
  const partitions = await readPartitions(name, host, await host.probe([]), []);
  return (await findDriveUses(name, host, partitions)).map(({ kind, text }) => `${kind}: ${text}`);
};

test('finds nothing on a drive that nobody uses', async (t) => {
  const host = await fakeHost(t, {
    devices: { sda, sdb: { number: '8:16', partitions: { sdb1: '8:17' } } },
    mounts: ['8:1 /'],
  });
  assert.deepEqual(await summary('sdb', host), []);
});

test('finds the running system on a partition, before anything else', async (t) => {
  const host = await fakeHost(t, { devices: { sda }, mounts: ['8:2 /media/stick', '8:1 /boot/efi'] });
  assert.deepEqual(await summary('sda', host), [
    'system: /dev/sda1 is mounted at /boot/efi',
    'mounted: /dev/sda2 is mounted at /media/stick',
  ]);
});

test('does not take sdaa for a partition of sda', async (t) => {
  const host = await fakeHost(t, { devices: { sda, sdaa: { number: '65:160' } }, mounts: ['65:160 /media/other'] });
  assert.deepEqual(await summary('sda', host), []);
});

test('reads mount points with spaces', async (t) => {
  const host = await fakeHost(t, { devices: { sda }, mounts: ['8:1 /media/my\\040stick'] });
  assert.deepEqual(await summary('sda', host), ['mounted: /dev/sda1 is mounted at /media/my stick']);
});

test('finds swap', async (t) => {
  const host = await fakeHost(t, { devices: { sda }, swaps: ['/dev/sda2'] });
  assert.deepEqual(await summary('sda', host), ['swap: /dev/sda2 is used as swap']);
});

test('finds btrfs by the drive it names, because its device number is its own', async (t) => {
  const host = await fakeHost(t, { devices: { sda }, mounts: ['0:31 / /dev/sda2'] });
  assert.deepEqual(await summary('sda', host), ['system: /dev/sda2 is mounted at /']);
});

test('finds the running system through encryption and LVM', async (t) => {
  const host = await fakeHost(t, {
    devices: {
      sda: { ...sda, holders: { sda2: ['dm-0'] } },
      'dm-0': {
        number: '253:0',
        holders: { 'dm-0': ['dm-1'] },
        attributes: { 'dm/uuid': 'CRYPT-LUKS2-1', 'dm/name': 'crypt' },
      },
      'dm-1': { number: '253:1', attributes: { 'dm/uuid': 'LVM-abc', 'dm/name': 'vg-root' } },
    },
    mounts: ['253:1 /'],
  });
  assert.deepEqual(await summary('sda', host), [
    'system: /dev/dm-1 (LVM volume vg-root on /dev/dm-0) is mounted at /',
    'held: /dev/sda is in use by /dev/dm-0 (encrypted volume crypt on /dev/sda2)',
    'held: /dev/sda is in use by /dev/dm-1 (LVM volume vg-root on /dev/dm-0)',
  ]);
});

test('finds a RAID array that is not mounted', async (t) => {
  const host = await fakeHost(t, {
    devices: {
      sda: { ...sda, holders: { sda: ['md0'] } },
      md0: { number: '9:0', attributes: { 'md/level': 'raid1' } },
    },
  });
  assert.deepEqual(await summary('sda', host), [
    'held: /dev/sda is in use by /dev/md0 (RAID array, raid1, on /dev/sda)',
  ]);
});

test('finds swap on an LVM volume', async (t) => {
  const host = await fakeHost(t, {
    devices: {
      sda: { ...sda, holders: { sda1: ['dm-3'] } },
      'dm-3': { number: '253:3', attributes: { 'dm/uuid': 'LVM-abc', 'dm/name': 'vg-swap' } },
    },
    swaps: ['/dev/dm-3'],
  });
  assert.equal((await summary('sda', host))[0], 'swap: /dev/dm-3 (LVM volume vg-swap on /dev/sda1) is used as swap');
});

test('finds a loop device made of a partition, which the kernel does not list as a holder', async (t) => {
  const host = await fakeHost(t, {
    devices: { sda, loop0: { number: '7:0', attributes: { 'loop/backing_file': '/dev/sda1' } } },
    mounts: ['7:0 /mnt'],
  });
  assert.deepEqual(await summary('sda', host), [
    'held: /dev/sda is in use by /dev/loop0 (loop device on /dev/sda1)',
    'mounted: /dev/loop0 (loop device on /dev/sda1) is mounted at /mnt',
  ]);
});

test('finds what is mounted from any drive of a btrfs file system, on all of them', async (t) => {
  const host = await fakeHost(t, {
    devices: { sda, sdb: { number: '8:16' } },
    btrfs: { 'f00d-1': ['sda2', 'sdb'] },
    mounts: ['0:31 /home /dev/sda2'],
  });
  assert.deepEqual(await summary('sdb', host), [
    'system: /dev/sdb is mounted at /home',
    'held: /dev/sdb is in use by btrfs on /dev/sda2, /dev/sdb',
  ]);
});

for (const fileSystem of ['linux_raid_member', 'isw_raid_member', 'LVM2_member', 'zfs_member', 'bcache']) {
  test(`finds a ${fileSystem} that nothing runs on`, async (t) => {
    const host = await fakeHost(t, { devices: { sda }, volumes: { '/dev/sda2': { fileSystem } } });
    assert.deepEqual(await summary('sda', host), [`member: /dev/sda2 is part of something larger (${fileSystem})`]);
  });
}

for (const [named, isThere] of [
  ['UUID=ab-12', true],
  ['UUID="AB-12"', true],
  ['PARTUUID=cd-1', true],
  ['LABEL=things', true],
  ['PARTLABEL=stuff', true],
  ['/dev/sda2', true],
  ['UUID=ab-13', false],
  ['LABEL=thing', false],
  ['/dev/sda', false],
  ['#UUID=ab-12', false],
] as const) {
  test(`${isThere ? 'finds' : 'does not find'} a partition that /etc/fstab calls ${named}`, async (t) => {
    const volume = {
      fileSystem: 'ext4',
      uuid: 'ab-12',
      label: 'things',
      partitionName: 'stuff',
      partitionUuid: 'cd-1',
    };
    const host = await fakeHost(t, {
      devices: { sda },
      volumes: { '/dev/sda2': volume },
      fstab: ['# static file system information', '', `${named}  /backup ext4 defaults 0 2`],
    });
    assert.deepEqual(await summary('sda', host), isThere ? ['planned: /dev/sda2 belongs at /backup (/etc/fstab)'] : []);
  });
}

test('takes what /etc/fstab mounts into the system for part of it, also while it is not mounted, and swap that is off', async (t) => {
  const host = await fakeHost(t, {
    devices: { sda },
    volumes: { '/dev/sda1': { uuid: 'h' }, '/dev/sda2': { uuid: 's' } },
    fstab: ['UUID=h /home ext4 defaults 0 2', 'UUID=s none swap sw 0 0'],
  });
  assert.deepEqual(await summary('sda', host), [
    'system: /dev/sda1 belongs at /home (/etc/fstab)',
    'swap: /dev/sda2 is swap of this computer (/etc/fstab)',
  ]);
});

test('does not take a card for the system because its labels are those of the running one', async (t) => {
  const host = await fakeHost(t, {
    devices: { sda, mmcblk0: { number: '179:0', partitions: { mmcblk0p2: '179:2' } } },
    volumes: { '/dev/sda2': { label: 'writable' }, '/dev/mmcblk0p2': { label: 'writable' } },
    mounts: ['179:2 /'],
    fstab: ['LABEL=writable / ext4 defaults 0 1', 'UUID=x /media/usb vfat noauto,user 0 0'],
  });
  assert.deepEqual(await summary('sda', host), []);
});
