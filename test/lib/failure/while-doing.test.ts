import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exitCodeOf, Failure, interrupted } from '../../../src/lib/failure/failure.js';
import { whileDoing } from '../../../src/lib/failure/while-doing.js';

const systemError = (code: string) => Object.assign(new Error(`${code}: raw`), { code });

describe('whileDoing', () => {
  it('turns system errors into the failure a user expects', () => {
    for (const [code, exitCode] of [
      ['ENOENT', 3],
      ['EACCES', 7],
      ['EROFS', 4],
      ['ENOSPC', 5],
      ['EDQUOT', 5],
      ['ENAMETOOLONG', 2],
      ['ELOOP', 2],
      ['ECONNREFUSED', 6],
    ] as const) {
      const failure = whileDoing('opening /dev/sdb', systemError(code));
      assert.ok(failure instanceof Failure, code);
      assert.equal(exitCodeOf(failure), exitCode, code);
      assert.equal(failure.code, code.toLowerCase());
      assert.match(failure.message, /^opening \/dev\/sdb: /);
    }
  });

  it('adds its words to a failure and keeps kind, code and hint', () => {
    const inner = new Failure('refused', 'drive-mounted', 'it is mounted', { hint: 'Unmount it' });
    const outer = whileDoing('flashing /dev/sdb', inner);
    assert.ok(outer instanceof Failure);
    assert.deepEqual(
      [outer.kind, outer.code, outer.message, outer.hint, outer.cause],
      ['refused', 'drive-mounted', 'flashing /dev/sdb: it is mounted', 'Unmount it', inner],
    );
  });

  it('leaves interruptions and bugs as they are', () => {
    const stop = interrupted();
    assert.equal(whileDoing('anything', stop), stop);
    const bug = new TypeError('oops');
    assert.equal(whileDoing('anything', bug), bug);
    assert.equal(exitCodeOf(bug), 1);
  });
});
