import assert from 'node:assert/strict';
import { chown, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { Inventory } from '../../../src/lib/discovery/inventory.js';
import { expectFreshDevice } from '../../../src/lib/flash/expect-fresh-device.js';
import { ignoreProgress } from '../../../src/lib/platform/progress.js';
import { HostKeyStore } from '../../../src/lib/ssh/host-key-store.js';
import { hostKeyFrom } from '../../support/host-key.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const isRoot = process.getuid?.() === 0;

const uuid = '63ec46c14d6bb1ee1ed1eb7a8e05ce0d';

/** davit's data folder in the folder of somebody else, where this runs as root. */
async function dataFolder(t: TestContext): Promise<string> {
  const home = await temporaryFolder(t);
  if (isRoot) await chown(home, 65534, 65534);
  process.env.DAVIT_DATA_DIR = path.join(home, 'share', 'davit');
  return process.env.DAVIT_DATA_DIR;
}

async function allBelongToThem(...files: readonly string[]): Promise<void> {
  if (isRoot) for (const file of files) assert.equal((await stat(file)).uid, 65534, file);
}

test('forgets the key of the device that will be there, and all there stays theirs', async (t) => {
  const folder = await dataFolder(t);
  const store = new HostKeyStore();
  await store.pinFirst('kiosk', hostKeyFrom(1));
  await store.pinFirst('other', hostKeyFrom(2));
  await store.pinFirst(uuid, hostKeyFrom(3));
  const events: string[] = [];
  await expectFreshDevice({ hostname: 'kiosk', uuid }, (event) => event.type === 'notice' && events.push(event.text));
  assert.deepEqual(await store.find('kiosk', uuid), []);
  assert.deepEqual(await store.find('other'), [hostKeyFrom(2)]);
  assert.deepEqual(await readdir(folder), ['devices.json', 'known_hosts']);
  await allBelongToThem(...['devices.json', 'known_hosts'].map((name) => path.join(folder, name)));
  assert.equal(events.length, 1);
});

test('remembers the device by what it will be called, in folders that belong to the user', async (t) => {
  const folder = await dataFolder(t);
  await expectFreshDevice({ hostname: undefined, uuid }, ignoreProgress);
  const [device] = await new Inventory(ignoreProgress).read();
  assert.deepEqual([device?.uuid, device?.hostname, device?.seenAt], [uuid, '63ec46c', null]);
  await allBelongToThem(path.dirname(folder), folder, path.join(folder, 'devices.json'));
});

test('makes nothing where nothing is known of the device', async (t) => {
  const folder = await dataFolder(t);
  await expectFreshDevice({ hostname: undefined, uuid: undefined }, ignoreProgress);
  await assert.rejects(stat(path.dirname(folder)));
});
