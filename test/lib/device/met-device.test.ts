import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { metDevice } from '../../../src/lib/device/met-device.js';
import { unknownDevice } from '../../../src/lib/discovery/known-device.js';

const hostKey = { type: 'ssh-ed25519', key: '' };
const first = { uuid: '63ec46c14d6bb1ee1ed1eb7a8e05ce0d', names: ['crane', '192.168.1.20'], hostKey };
const second = { uuid: '63ec46c99d6bb1ee1ed1eb7a8e05ce0d', names: ['[kiosk]:2222'], hostKey };
const third = { uuid: undefined, names: ['63ec46c'], hostKey };
const pinned = [first, second, third];
const known = [{ ...unknownDevice, uuid: second.uuid, aliases: ['Bench-3'] }];

describe('metDevice', () => {
  it('finds a device by UUID, its beginning, alias, name and address, in any letter case', () => {
    for (const word of [first.uuid, '63ec46c14', 'Crane.local', '192.168.1.20']) {
      assert.equal(metDevice(word, pinned, known), first, word);
    }
    for (const word of [second.uuid, '63EC46C99', 'bench-3', 'kiosk']) {
      assert.equal(metDevice(word, pinned, known), second, word);
    }
  });

  it('takes a name before the beginning of a UUID, and no device where several are meant', () => {
    assert.equal(metDevice('63ec46c', pinned, []), third);
    assert.throws(() => metDevice('63ec46c', [first, second], []), { code: 'device-ambiguous' });
  });

  it('fails for what was never met', () => {
    assert.throws(() => metDevice('laptop', pinned, known), { code: 'device-not-met' });
  });
});
