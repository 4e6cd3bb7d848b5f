import assert from 'node:assert/strict';
import { chown, lstat, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { Inventory, inventoryFile } from '../../../src/lib/discovery/inventory.js';
import { expectFreshDevice } from '../../../src/lib/flash/expect-fresh-device.js';
import { ignoreProgress } from '../../../src/lib/platform/progress.js';
import { homeOfSudoUser } from '../../../src/lib/platform/sudo-user.js';
import { HostKeyStore } from '../../../src/lib/ssh/host-key-store.js';
import { hostKeyFrom } from '../../support/host-key.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const skip = process.getuid?.() === 0 ? false : 'needs root';

const uuid = '63ec46c14d6bb1ee1ed1eb7a8e05ce0d';
const known = (home: string) =>
  new Inventory(ignoreProgress, inventoryFile(path.join(home, '.local', 'share', 'davit'))).read();

test('forgets also the key that the user has pinned who flashes through sudo, and all there stays theirs', async (t) => {
  process.env.DAVIT_DATA_DIR = await temporaryFolder(t);
  const home = await temporaryFolder(t);
  const folder = path.join(home, '.local', 'share', 'davit');
  const store = new HostKeyStore(path.join(folder, 'known_hosts'));
  await store.pinFirst('kiosk', hostKeyFrom(1));
  await store.pinFirst('other', hostKeyFrom(2));
  await store.pinFirst(uuid, hostKeyFrom(3));
  if (skip === false) for (const one of [folder, store.file]) await chown(one, 65534, 65534);
  const events: string[] = [];
  await expectFreshDevice(
    { hostname: 'kiosk', uuid },
    (event) => event.type === 'notice' && events.push(event.text),
    () => Promise.resolve(home),
  );
  assert.deepEqual(await store.find('kiosk', uuid), []);
  assert.deepEqual(await store.find('other'), [hostKeyFrom(2)]);
  assert.deepEqual(await readdir(folder), ['devices.json', 'known_hosts']);
  if (skip === false) {
    for (const name of await readdir(folder)) assert.equal((await stat(path.join(folder, name))).uid, 65534);
  }
  assert.equal(events.length, 1);
});

test('remembers the device by what it will be called, in folders that belong to the user', async (t) => {
  process.env.DAVIT_DATA_DIR = await temporaryFolder(t);
  const home = await temporaryFolder(t);
  if (skip === false) await chown(home, 65534, 65534);
  await expectFreshDevice({ hostname: undefined, uuid }, ignoreProgress, () => Promise.resolve(home));
  const [device] = await known(home);
  assert.deepEqual([device?.uuid, device?.hostname, device?.seenAt], [uuid, '63ec46c', null]);
  if (skip === false) {
    for (const name of ['.local', '.local/share/davit', '.local/share/davit/devices.json'])
      assert.equal((await stat(path.join(home, name))).uid, 65534);
  }
});

test('makes nothing where nothing is known of the device, and no home for who has none', async (t) => {
  process.env.DAVIT_DATA_DIR = await temporaryFolder(t);
  const home = await temporaryFolder(t);
  await expectFreshDevice({ hostname: undefined, uuid: undefined }, ignoreProgress, () => Promise.resolve(home));
  await assert.rejects(lstat(path.join(home, '.local')));
  await expectFreshDevice({ hostname: 'kiosk', uuid }, ignoreProgress, () => Promise.resolve(`${home}/none`));
  await assert.rejects(lstat(`${home}/none`));
});

test('finds the home of who runs it through sudo', { skip }, async (t) => {
  t.after(() => delete process.env.SUDO_UID);
  process.env.SUDO_UID = '65534';
  assert.equal(await homeOfSudoUser(), '/nonexistent');
  process.env.SUDO_UID = '0';
  assert.equal(await homeOfSudoUser(), undefined);
  delete process.env.SUDO_UID;
  assert.equal(await homeOfSudoUser(), undefined);
});
