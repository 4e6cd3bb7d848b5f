import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseCopyPlace } from '../../../src/lib/device/copy-place.js';

describe('parseCopyPlace', () => {
  for (const [text, device, service, path] of [
    ['file', undefined, undefined, 'file'],
    ['./a:b', undefined, undefined, './a:b'],
    ['/x/a:b', undefined, undefined, '/x/a:b'],
    ['crane:', 'crane', undefined, '.'],
    ['crane:~/x', 'crane', undefined, 'x'],
    ['crane:./a:b', 'crane', undefined, './a:b'],
    ['me@crane.local:/x', 'me@crane.local', undefined, '/x'],
    ['crane:main:/x', 'crane', 'main', '/x'],
    ['[fe80::1%eth0]:/x', '[fe80::1%eth0]', undefined, '/x'],
    ['me@[fe80::1%eth0]:2222:/x', 'me@[fe80::1%eth0]:2222', undefined, '/x'],
    ['[fe80::1%eth0]:2222', '[fe80::1%eth0]', undefined, '2222'],
    ['ssh://crane:/x', 'ssh://crane', undefined, '/x'],
    ['ssh://me@crane:2222:/x', 'ssh://me@crane:2222', undefined, '/x'],
    ['ssh://me@crane:2222:main:/x', 'ssh://me@crane:2222', 'main', '/x'],
    ['ssh://[fe80::1%25eth0]:2222:/x', 'ssh://[fe80::1%25eth0]:2222', undefined, '/x'],
  ] as const) {
    it(`understands ${text}`, () => {
      const place = parseCopyPlace(text, 'linux');
      assert.deepEqual(place, device === undefined ? { device, path } : { device, service, path });
    });
  }

  it('takes the letter of a drive for one on Windows only', () => {
    assert.equal(parseCopyPlace('C:\\x', 'win32').device, undefined);
    assert.equal(parseCopyPlace('C:\\x', 'linux').device, 'C');
  });

  for (const text of ['', 'crane:main:', 'ssh://crane/x']) {
    it(`refuses "${text}"`, () => {
      assert.throws(() => parseCopyPlace(text, 'linux'), { code: 'invalid-copy-place' });
    });
  }
});
