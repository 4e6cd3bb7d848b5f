import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { eject, planEjection } from '../../../src/lib/drives/eject.js';
import { thisHost } from '../../../src/lib/drives/host-view.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const stick = { path: '/dev/sdz', isFile: false, isRemovable: true, bus: 'usb' };

/** A computer with these programs, which note how they are called, and these files of /sys about the drive sdz. */
async function computer(t: TestContext, programs: readonly string[], files: Readonly<Record<string, string>>) {
  const root = await temporaryFolder(t);
  const [bin, sysfs, calls] = [path.join(root, 'bin'), path.join(root, 'sys'), path.join(root, 'calls')];
  await mkdir(bin);
  for (const program of programs) {
    const file = path.join(bin, program);
    await writeFile(file, `#!/bin/sh\necho "$(basename "$0") $*" >>${calls}\n`);
    await chmod(file, 0o755);
  }
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(sysfs, 'class', 'block', 'sdz', name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, `${text}\n`);
  }
  const before = process.env.PATH;
  process.env.PATH = `${bin}:${before ?? ''}`;
  t.after(() => {
    process.env.PATH = before;
  });
  return { ...thisHost, sysfs, procfs: path.join(root, 'proc'), calls: () => readFile(calls, 'utf8') };
}

test('ejects a card so that its reader takes the next one', async (t) => {
  const host = await computer(t, ['eject', 'udisksctl'], { removable: '1', 'device/delete': '' });
  const ejection = await planEjection(stick, host);
  assert.equal(ejection.way, 'eject');
  await eject(stick, ejection, host);
  assert.equal(await host.calls(), 'eject /dev/sdz\n');
});

test('switches off a USB disk, and a card reader where there is no other way', async (t) => {
  const host = await computer(t, ['udisksctl'], { removable: '0', 'device/delete': '' });
  const ejection = await planEjection({ ...stick, isRemovable: false }, host);
  assert.equal(ejection.way, 'power-off');
  await eject(stick, ejection, host);
  assert.equal(await host.calls(), 'udisksctl power-off --no-user-interaction --block-device /dev/sdz\n');
});

test('has the kernel let go of a stick where there are no programs', async (t) => {
  const host = await computer(t, [], { removable: '1', 'device/delete': '' });
  const ejection = await planEjection(stick, host);
  assert.equal(ejection.way, 'remove');
  assert.match(ejection.outcome, /plug its reader in again/);
  await eject(stick, ejection, host);
  assert.equal(await readFile(path.join(host.sysfs, 'class/block/sdz/device/delete'), 'utf8'), '1');
});

test('says for whatever cannot be ejected why', async (t) => {
  const host = await computer(t, [], { removable: '0', 'loop/backing_file': '/tmp/card.img' });
  const words: readonly (readonly [Partial<Parameters<typeof planEjection>[0]>, RegExp])[] = [
    [{ isFile: true, path: 'card.img', bus: undefined }, /card\.img is a file/],
    [{ bus: 'loop' }, /a loop device on \/tmp\/card\.img/],
    [{ bus: 'mmc' }, /can be pulled as it is/],
    [{ bus: 'nvme', isRemovable: false }, /is built in/],
    [{}, /no way to do so/],
  ];
  for (const [properties, expected] of words) {
    const { way, outcome } = await planEjection({ ...stick, ...properties }, host);
    assert.equal(way, 'nothing');
    assert.match(outcome, expected);
  }
});
