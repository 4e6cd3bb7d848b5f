import assert from 'node:assert/strict';
import { chown, lstat, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { forgetHostKey } from '../../../src/lib/flash/forget-host-key.js';
import { ignoreProgress } from '../../../src/lib/platform/progress.js';
import { homeOfSudoUser } from '../../../src/lib/platform/sudo-user.js';
import { HostKeyStore } from '../../../src/lib/ssh/host-key-store.js';
import { hostKeyFrom } from '../../support/host-key.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const skip = process.getuid?.() === 0 ? false : 'needs root';

test('forgets also the key that the user has pinned who flashes through sudo, and leaves nothing there', async (t) => {
  process.env.DAVIT_DATA_DIR = await temporaryFolder(t);
  const home = await temporaryFolder(t);
  const folder = path.join(home, '.local', 'share', 'davit');
  const store = new HostKeyStore(path.join(folder, 'known_hosts'));
  await store.pinFirst('kiosk', hostKeyFrom(1));
  await store.pinFirst('other', hostKeyFrom(2));
  if (skip === false) await chown(store.file, 65534, 65534);
  const events: string[] = [];
  await forgetHostKey(
    'kiosk',
    (event) => event.type === 'notice' && events.push(event.text),
    () => Promise.resolve(home),
  );
  assert.deepEqual(await store.find('kiosk'), []);
  assert.deepEqual(await store.find('other'), [hostKeyFrom(2)]);
  assert.deepEqual(await readdir(folder), ['known_hosts']);
  if (skip === false) assert.equal((await stat(store.file)).uid, 65534);
  assert.equal(events.length, 1);
});

test('makes nothing in the home of a user who never pinned anything', async (t) => {
  process.env.DAVIT_DATA_DIR = await temporaryFolder(t);
  const home = await temporaryFolder(t);
  await forgetHostKey('kiosk', ignoreProgress, () => Promise.resolve(home));
  await assert.rejects(lstat(path.join(home, '.local')));
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
