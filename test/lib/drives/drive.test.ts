import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findDrive } from '../../../src/lib/drives/find-drive.js';
import { fakeHost } from '../../support/fake-host.js';

test('refuses what is made of other drives, and says of which', async (t) => {
  const host = await fakeHost(t, {
    devices: {
      bcache0: { number: '252:0', at: 'virtual/block', attributes: { size: '62500000', 'slaves/sdb/dev': '8:16' } },
    },
  });
  const { refusals } = await findDrive('bcache0', { host });
  assert.deepEqual(
    refusals.map(({ risk, failure }) => [risk, failure.code]),
    [[null, 'drive-of-drives']],
  );
  assert.match(refusals[0]?.failure.message ?? '', /\/dev\/sdb$/);
});

test('takes an NVMe disk with more than one controller for built in', async (t) => {
  const at = 'virtual/nvme-subsystem/nvme-subsys0';
  const host = await fakeHost(t, { devices: { nvme0n1: { number: '259:1', at, attributes: { size: '62500000' } } } });
  const { refusals } = await findDrive('nvme0n1', { host });
  assert.deepEqual(
    refusals.map(({ risk }) => risk),
    ['fixed'],
  );
});
