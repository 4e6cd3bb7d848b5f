import assert from 'node:assert/strict';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { fingerprint, hostKeyOwner, HostKeyStore, pinOf } from '../../../src/lib/ssh/host-key-store.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const pin = pinOf(Buffer.from('AAAAC3NzaC1lZDI1NTE5AAAAIBZfMAm9zHJSx9PyWZjWkDvwCKnZcvHwO2VIdRgz0MPv', 'base64'));
const other = pinOf(Buffer.from('AAAAC3NzaC1lZDI1NTE5AAAAIDDEWf8PnUJyN9mYo9GCBlrq8+eVuqwpwNZEbsxQeSLc', 'base64'));

describe('HostKeyStore', () => {
  it('finds nothing before a device was met, and its key afterwards', async (t) => {
    const folder = path.join(await temporaryFolder(t), 'host-keys');
    const store = new HostKeyStore(folder);
    assert.equal(await store.find('63ec46c'), undefined);
    assert.deepEqual(await store.pinFirst('63ec46c', pin), pin);
    assert.deepEqual(await new HostKeyStore(folder).find('63ec46c'), pin);
    assert.equal((await stat(folder)).mode & 0o777, 0o700);
  });

  it('keeps the first key when another one comes later', async (t) => {
    const store = new HostKeyStore(await temporaryFolder(t));
    await store.pinFirst('63ec46c', pin);
    assert.deepEqual(await store.pinFirst('63ec46c', other), pin);
    await store.replace('63ec46c', other);
    assert.deepEqual(await store.find('63ec46c'), other);
    assert.equal(await store.forget('63ec46c'), true);
    assert.equal(await store.find('63ec46c'), undefined);
    assert.equal(await store.forget('63ec46c'), false);
  });

  it('lets exactly one of many first meetings win and leaves no other files', async (t) => {
    const folder = await temporaryFolder(t);
    const pins = await Promise.all(
      Array.from({ length: 20 }, (_, index) => new HostKeyStore(folder).pinFirst('one', index % 2 ? pin : other)),
    );
    assert.equal(new Set(pins.map(fingerprint)).size, 1);
    assert.deepEqual(await readdir(folder), ['one.json']);
  });

  it('keeps devices with any name apart, inside its folder', async (t) => {
    const folder = await temporaryFolder(t);
    const store = new HostKeyStore(path.join(folder, 'keys'));
    await store.pinFirst('../../etc/passwd', pin);
    await store.pinFirst('fe80::1%eth0', other);
    assert.deepEqual(await readdir(folder), ['keys']);
    assert.deepEqual(await store.find('../../etc/passwd'), pin);
    assert.deepEqual(await store.find('fe80::1%eth0'), other);
  });
});

describe('hostKeyOwner', () => {
  it('takes a name with and without .local for the same device', () => {
    const names = ['63ec46c', '63ec46c.local', '63EC46C.local.'];
    assert.deepEqual([...new Set(names.map((name) => hostKeyOwner({ name, port: 22222 })))], ['63ec46c']);
  });

  it('tells servers on other ports apart', () => {
    assert.equal(hostKeyOwner({ name: '127.0.0.1', port: 2201 }), '127.0.0.1:2201');
  });
});

describe('fingerprint', () => {
  it('is what OpenSSH prints', () => {
    assert.equal(pin.type, 'ssh-ed25519');
    // From ssh-keygen -l.
    assert.equal(fingerprint(pin), 'SHA256:5IUjz65C5ljcDO2nxiVq7EKmegFYnkRzwP8FJTu7lv0');
  });
});
