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
    [
      [null, 'drive-of-drives'],
      ['fixed', 'drive-fixed'],
    ],
  );
  assert.match(refusals[0]?.failure.message ?? '', /\/dev\/sdb$/);
});

for (const [name, folder] of [
  ['nvme0n1', 'nvme-subsystem/nvme-subsys0'],
  ['zd0', 'block'],
] as const) {
  test(`takes ${name} for built in, which only looks as if it were made up`, async (t) => {
    const device = { number: '259:1', at: `virtual/${folder}`, attributes: { size: '62500000' } };
    const { refusals } = await findDrive(name, { host: await fakeHost(t, { devices: { [name]: device } }) });
    assert.deepEqual(
      refusals.map(({ risk }) => risk),
      ['fixed'],
    );
  });
}
