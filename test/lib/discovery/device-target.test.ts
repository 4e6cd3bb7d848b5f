import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseDeviceTarget } from '../../../src/lib/discovery/device-target.js';

describe('parseDeviceTarget', () => {
  it('takes apart whatever means one device', () => {
    for (const [text, name, address, user, port] of [
      ['63ec46c', '63ec46c'],
      ['63ec46c.local', '63ec46c.local'],
      ['192.168.1.20', '192.168.1.20', '192.168.1.20'],
      ['192.168.1.20:2222', '192.168.1.20', '192.168.1.20', undefined, 2222],
      ['2001:db8::1', '2001:db8::1', '2001:db8::1'],
      ['[2001:db8::1]', '2001:db8::1', '2001:db8::1'],
      ['[2001:db8::1]:22', '2001:db8::1', '2001:db8::1', undefined, 22],
      ['fe80::1%lo', 'fe80::1%lo', 'fe80::1%lo'],
      ['[fe80::1%lo]:22222', 'fe80::1%lo', 'fe80::1%lo', undefined, 22222],
      ['ssh://[fe80::1%25lo]:22', 'fe80::1%lo', 'fe80::1%lo', undefined, 22],
      ['ssh://admin@kiosk.local:2222/', 'kiosk.local', undefined, 'admin', 2222],
      ['SSH://kiosk', 'kiosk'],
      ['admin@kiosk', 'kiosk', undefined, 'admin'],
      ['admin@[2001:db8::1]:22', '2001:db8::1', '2001:db8::1', 'admin', 22],
    ] as const) {
      assert.deepEqual(parseDeviceTarget(text), { name, address, user, port }, text);
    }
  });

  it('refuses what can be no name', () => {
    const long = 'x'.repeat(64);
    for (const bad of [
      '',
      ' ',
      'a b',
      '-x',
      'a/b',
      long,
      'a..b',
      'x.'.repeat(150),
      'a\u001B[2Jb',
      '127.1',
      '192.168.1.300',
    ]) {
      assert.throws(() => parseDeviceTarget(bad), { kind: 'usage', code: 'invalid-device-name' }, bad);
    }
    for (const bad of [
      'a:b',
      'a:0',
      'a:65536',
      '-o@a',
      '@a',
      'a@b@c',
      '[a]',
      '[1.2.3.4]:5',
      'ssh://',
      'http://a',
      '1::2:3::4',
    ]) {
      assert.throws(() => parseDeviceTarget(bad), { kind: 'usage', code: 'invalid-device-name' }, bad);
    }
  });

  it('asks for the interface of a link-local address', () => {
    assert.throws(() => parseDeviceTarget('fe80::1'), { kind: 'usage', code: 'zone-missing' });
  });

  it('says that an interface is not there instead of trying to connect through it', () => {
    assert.throws(() => parseDeviceTarget('[fe80::1%absent0]:22'), { kind: 'not-found', code: 'interface-not-found' });
  });
});
