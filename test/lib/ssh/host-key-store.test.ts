import assert from 'node:assert/strict';
import { appendFile, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { HostKeyStore, pinnedName } from '../../../src/lib/ssh/host-key-store.js';
import { fingerprint } from '../../../src/lib/ssh/known-hosts.js';
import { hostKeyFrom } from '../../support/host-key.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const [one, other] = [hostKeyFrom(1), hostKeyFrom(2)];
const uuid = '63ec46c2b8e04a8e9e3b1d7a5f0c9e21';

async function freshStore(t: import('node:test').TestContext): Promise<HostKeyStore> {
  return new HostKeyStore(path.join(await temporaryFolder(t), 'data', 'known_hosts'));
}

describe('HostKeyStore', () => {
  it('finds nothing before a device was met, and its key afterwards', async (t) => {
    const store = await freshStore(t);
    assert.deepEqual(await store.find('63ec46c'), []);
    assert.deepEqual(await store.pinFirst('63ec46c', one), [one]);
    assert.deepEqual(await new HostKeyStore(store.file).find('63ec46c'), [one]);
    assert.equal((await stat(store.file)).mode & 0o777, 0o600);
    assert.equal((await stat(path.dirname(store.file))).mode & 0o777, 0o700);
  });

  it('writes lines that OpenSSH reads', async (t) => {
    const store = await freshStore(t);
    await store.pinFirst('crane', one);
    await store.identify(uuid, one, false);
    assert.equal(await readFile(store.file, 'utf8'), `${uuid},crane ${one.type} ${one.key}\n`);
  });

  it('keeps the first key when another one comes later', async (t) => {
    const store = await freshStore(t);
    await store.pinFirst('63ec46c', one);
    assert.deepEqual(await store.pinFirst('63ec46c', other), [one]);
    await store.replace('63ec46c', other);
    assert.deepEqual(await store.find('63ec46c'), [other]);
    assert.equal(await store.forget('63ec46c'), true);
    assert.deepEqual(await store.find('63ec46c'), []);
    assert.equal(await store.forget('63ec46c'), false);
  });

  it('keeps all names of a device on its line, and takes one from it when another device has it now', async (t) => {
    const store = await freshStore(t);
    await store.pinFirst('crane', one);
    await store.identify(uuid, one, false);
    await store.pinFirst('192.168.1.20', one);
    assert.deepEqual(await store.devices(), [{ uuid, names: ['crane', '192.168.1.20'], hostKey: one }]);
    await store.replace('crane', other);
    assert.deepEqual(await store.devices(), [
      { uuid, names: ['192.168.1.20'], hostKey: one },
      { uuid: undefined, names: ['crane'], hostKey: other },
    ]);
  });

  it('gives a UUID another key only when it may', async (t) => {
    const store = await freshStore(t);
    await store.pinFirst('crane', one);
    await store.identify(uuid, one, false);
    await store.pinFirst('192.168.1.20', other);
    assert.deepEqual(await store.identify(uuid, other, false), one);
    assert.deepEqual(await store.find(uuid), [one]);
    assert.equal(await store.identify(uuid, other, true), undefined);
    assert.deepEqual(await store.devices(), [{ uuid, names: ['192.168.1.20', 'crane'], hostKey: other }]);
  });

  it('keeps what people have added to its file', async (t) => {
    const store = await freshStore(t);
    await store.pinFirst('crane', one);
    const added = `# a note\n@revoked * ${other.type} ${other.key}\n*.lab ${hostKeyFrom(3).type} ${hostKeyFrom(3).key} mine\n`;
    await appendFile(store.file, added);
    await store.pinFirst('heron', one);
    await store.forget('crane');
    assert.equal(await readFile(store.file, 'utf8'), added);
    assert.deepEqual(await store.find('a.lab'), [hostKeyFrom(3)]);
  });

  it('names a damaged line instead of trusting anyone', async (t) => {
    const store = await freshStore(t);
    await store.pinFirst('crane', one);
    await writeFile(store.file, (await readFile(store.file, 'utf8')).slice(0, 40));
    await assert.rejects(store.find('crane'), { code: 'host-key-file-damaged' });
  });

  it('lets exactly one of many first meetings win, loses none of many others, and leaves no other files', async (t) => {
    const store = await freshStore(t);
    const pins = await Promise.all(
      Array.from({ length: 20 }, (_, index) => new HostKeyStore(store.file).pinFirst('one', index % 2 ? one : other)),
    );
    assert.equal(new Set(pins.flat().map(fingerprint)).size, 1);
    await Promise.all(
      Array.from({ length: 20 }, (_, seed) => store.pinFirst(`device${seed}`, hostKeyFrom(100 + seed))),
    );
    assert.equal((await store.devices()).length, 21);
    assert.deepEqual(await readdir(path.dirname(store.file)), ['known_hosts']);
  });
});

describe('pinnedName', () => {
  it('takes a name with and without .local for the same device', () => {
    const names = ['63ec46c', '63ec46c.local', '63EC46C.local.'];
    assert.deepEqual([...new Set(names.map((name) => pinnedName(name, 22222)))], ['63ec46c']);
  });

  it('tells servers on other ports apart', () => {
    assert.equal(pinnedName('127.0.0.1', 2201), '[127.0.0.1]:2201');
  });

  it('lets no name mean anything else in the file', () => {
    assert.equal(pinnedName('a,b *', 22222), 'a%2cb%20%2a');
  });
});
