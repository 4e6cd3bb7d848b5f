import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Failure } from '../../../src/lib/failure/failure.js';
import { LagRelief } from '../../../src/lib/flash/lag-relief.js';
import { type Slot, SlotPool } from '../../../src/lib/flash/slot-pool.js';

/** Memory for one window, a drive that waits for the next one, and one that never comes to any and leaves them to a copy by `keep`. */
function setUp(keep: () => Promise<unknown>) {
  const pool = new SlotPool(2, 64 * 1024, new AbortController().signal);
  const notices: string[] = [];
  const failures: unknown[] = [];
  const relief = new LagRelief(pool, (event) => {
    if (event.type === 'notice') notices.push(event.text);
  });
  const held: Slot[] = [];
  const waiting = { isIdle: true, leaveToCopy: () => Promise.resolve(false) };
  const lagging = {
    isIdle: false,
    leaveToCopy: async () => {
      const left = held.splice(0);
      for (const slot of left) slot.letGo();
      await keep();
      return left.length > 0;
    },
  };
  relief.watch([waiting, lagging], (error) => failures.push(error));
  return { pool, held, notices, failures };
}

test('leaves to the copy also what is read while it does so', async () => {
  const { pool, held } = setUp(() => nextTurn());
  for (let window = 0; window < 10; window += 1) held.push(await pool.take());
  assert.equal(held.length, 1);
});

test('says that no copy can be kept, and hands over anything else that goes wrong', async () => {
  const full = setUp(() => Promise.reject(new Failure('failed', 'enospc', 'no space left')));
  const broken = setUp(() => Promise.reject(new TypeError('broken')));
  for (const { pool, held } of [full, broken]) {
    held.push(await pool.take());
    held.push(await pool.take());
    await nextTurn();
  }
  assert.equal(full.notices.length, 1);
  assert.deepEqual(full.failures, []);
  assert.deepEqual(broken.notices, []);
  assert.ok(broken.failures[0] instanceof TypeError);
});
