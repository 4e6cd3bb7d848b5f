import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import type { ListedDrive } from 'drivelist';
import { listDrivesElsewhere, openDriveElsewhere } from '../../../src/lib/drives/drives-elsewhere.js';
import { alignedBuffer } from '../../../src/lib/flash/aligned-memory.js';
import { bytesAt } from '../../support/disk-content.js';
import { attachUsedCard, loopDevicesMissing } from '../../support/loop-device.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const card: ListedDrive = {
  device: '/dev/disk4',
  raw: '/dev/rdisk4',
  devicePath: null,
  description: 'Generic STORAGE DEVICE',
  busType: 'USB',
  size: 32e9,
  logicalBlockSize: 512,
  isReadOnly: false,
  isRemovable: true,
  isSystem: false,
  isCard: null,
  isUSB: true,
  isVirtual: false,
  mountpoints: [{ path: '/Volumes/NO NAME', label: 'NO NAME' }],
};

const skip =
  loopDevicesMissing ||
  (await import('etcher-sdk').then(
    () => false,
    () => 'needs the optional package etcher-sdk',
  ));

async function codes(listed: Partial<ListedDrive>): Promise<string[]> {
  const drives = await listDrivesElsewhere([], () => Promise.resolve([{ ...card, ...listed }]));
  const all = drives.flatMap((drive) =>
    drive.refusals.map(({ risk, failure }) => `${risk ?? 'never'}: ${failure.code}`),
  );
  return all.filter((one) => one !== 'never: platform-unsupported');
}

test('refuses what drivelist tells of drives by the same names as on Linux', async () => {
  assert.deepEqual(await codes({}), ['mounted: drive-mounted']);
  assert.deepEqual(await codes({ mountpoints: [] }), []);
  assert.deepEqual(await codes({ isSystem: true }), ['never: system-drive']);
  assert.deepEqual(await codes({ isSystem: true, mountpoints: [] }), ['never: system-drive']);
  assert.deepEqual(await codes({ mountpoints: [], isReadOnly: true }), ['never: drive-read-only']);
  assert.deepEqual(await codes({ mountpoints: [], size: null }), ['never: no-medium']);
  assert.deepEqual(await codes({ mountpoints: [], isRemovable: false, isUSB: null, size: 1e12 }), [
    'fixed: drive-fixed',
    'large: drive-large',
  ]);
});

test('opens a drive through etcher-sdk for reading and writing past the cache', { skip }, async (t) => {
  const loop = await attachUsedCard(t, path.join(await temporaryFolder(t), 'card'), 1024 * 1024);
  const list = () => Promise.resolve([{ ...card, device: loop.path, raw: loop.path, mountpoints: [] }]);
  const [drive] = await listDrivesElsewhere([], list);
  assert.ok(drive);
  const { handle, isDirect } = await openDriveElsewhere(drive, list);
  try {
    assert.equal(isDirect, true);
    await handle.write(alignedBuffer(65536).fill(0x55), 0, 4096, 8192);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  assert.deepEqual(await bytesAt(loop.path, 8192, 4096), Buffer.alloc(4096, 0x55));
});
