import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DrivePartition } from '../../../src/lib/drives/drive-partitions.js';
import { type DriveFacts, refusalsFor, requireFlashable } from '../../../src/lib/drives/drive-refusal.js';
import { Failure } from '../../../src/lib/failure/failure.js';

const card: DriveFacts = {
  path: '/dev/sdb',
  size: 32e9,
  place: { bus: 'usb', isRemovable: true, isVirtual: false },
  partitions: [],
  uses: [],
  largeDriveLimit: 256 * 1024 ** 3,
};

function partition(fileSystem: string | null, label: string | null = null, name: string | null = null): DrivePartition {
  const path = '/dev/sdb1';
  const empty = { uuid: null, partitionUuid: null, mountPoints: [], holders: [] };
  return { path, number: 1, size: 1e9, fileSystem, label, name, ...empty };
}

const codes = (facts: DriveFacts) =>
  refusalsFor(facts).map(({ risk, failure }) => `${risk ?? 'never'}: ${failure.code}`);

function failureOf(facts: DriveFacts): Failure {
  try {
    requireFlashable({ refusals: refusalsFor(facts) });
  } catch (error) {
    if (error instanceof Failure) return error;
  }
  throw new Error('it was not refused');
}

test('takes a card as it comes', () => {
  assert.deepEqual(refusalsFor(card), []);
});

test('never tells how to free the drive of the running system', () => {
  const failure = failureOf({
    ...card,
    uses: [
      { kind: 'system', device: '/dev/sdb1', text: '/dev/sdb1 is mounted at /', mountPoint: '/' },
      { kind: 'mounted', device: '/dev/sdb2', text: '/dev/sdb2 is mounted at /media', mountPoint: '/media' },
    ],
  });
  assert.equal(failure.code, 'system-drive');
  assert.doesNotMatch(failure.hint ?? '', /umount|--/);
});

for (const kind of ['swap', 'held', 'member'] as const) {
  test(`refuses a drive that is ${kind} whatever the user takes upon themselves`, () => {
    assert.deepEqual(codes({ ...card, uses: [{ kind, device: '/dev/sdb1', text: 'so it is' }] }), [
      'never: drive-in-use',
    ]);
  });
}

test('names the flag of each risk, and all of them at once', () => {
  const failure = failureOf({
    ...card,
    size: 2e12,
    place: { bus: 'nvme', isRemovable: false, isVirtual: false },
    partitions: [partition('ntfs', 'Backup')],
    uses: [{ kind: 'mounted', device: '/dev/sdb2', text: '/dev/sdb2 is mounted at /media', mountPoint: '/media' }],
  });
  assert.equal(failure.hint, 'If it is the right drive, pass --unmount --force-fixed --force-large --force-data');
  assert.match(failure.message, /mounted at \/media; .*built into this computer.*; .*2\.0 TB.*; .*ntfs "Backup"/);
});

test('puts what can never be overruled before the risks', () => {
  const uses = [{ kind: 'held', device: '/dev/dm-0', text: '/dev/dm-0' }] as const;
  const failure = failureOf({ ...card, size: 2e12, uses });
  assert.equal(failure.code, 'drive-in-use');
});

test('does not take what is only made up for built in, but large it can be', () => {
  const place = { bus: 'loop', isRemovable: false, isVirtual: true };
  assert.deepEqual(codes({ ...card, place }), []);
  assert.deepEqual(codes({ ...card, place, size: 300e9 }), ['large: drive-large']);
});

test('lets a card sold as 256 GB pass, and nothing larger', () => {
  assert.deepEqual(codes({ ...card, size: 256 * 1024 ** 3 }), []);
  assert.deepEqual(codes({ ...card, size: 256 * 1024 ** 3 + 512 }), ['large: drive-large']);
});

for (const [fileSystem, label, name] of [
  ['vfat', 'resin-boot', null],
  ['ext4', 'resin-data', null],
  ['ext4', null, null],
  ['ext4', 'rootfs', null],
  ['ext4', 'root_b', null],
  ['vfat', 'bootfs', 'EFI system partition'],
  ['vfat', 'NO NAME', null],
  ['exfat', 'SANDISK', null],
  ['vfat', 'Kingston 32', null],
  ['exfat', null, null],
  ['crypto_LUKS', null, 'resin-rootA'],
  ['swap', 'swap', null],
  [null, null, 'Backup'],
] as const) {
  test(`takes ${fileSystem ?? 'nothing'} labelled ${label ?? 'not at all'} in ${name ?? 'a partition'} for that of an image or a new card`, () => {
    assert.deepEqual(codes({ ...card, partitions: [partition(fileSystem, label, name)] }), []);
  });
}

for (const [fileSystem, label, name] of [
  ['ntfs', null, 'Basic data partition'],
  ['apfs', null, null],
  ['hfsplus', 'Time Machine', null],
  ['crypto_LUKS', null, null],
  ['BitLocker', null, null],
  ['ext4', 'NO NAME', null],
  ['exfat', 'Fotos 2024', null],
  ['vfat', 'EOS_DIGITAL', null],
  ['ext4', 'Backup', null],
  ['btrfs', 'bootstrap', null],
  ['xfs', 'archive', null],
] as const) {
  test(`takes ${fileSystem} labelled ${label ?? 'not at all'} for somebody's data`, () => {
    assert.deepEqual(codes({ ...card, partitions: [partition(fileSystem, label, name)] }), ['data: drive-holds-data']);
  });
}
