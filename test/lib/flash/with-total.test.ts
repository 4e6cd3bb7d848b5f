import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allDrives, withTotal } from '../../../src/lib/flash/with-total.js';
import type { ProgressEvent, StepProgress } from '../../../src/lib/platform/progress.js';

/** What is told of all drives when drives report this, without what they report themselves. */
function totalsOf(drives: number, steps: readonly Omit<StepProgress, 'type'>[]): Omit<StepProgress, 'type' | 'id'>[] {
  const events: ProgressEvent[] = [];
  const progress = withTotal((event) => events.push(event), drives);
  for (const step of steps) progress({ type: 'step', ...step });
  return events.flatMap((event) => {
    if (event.type !== 'step' || event.id !== allDrives) return [];
    const { phase, state, current = 0, total = 0 } = event;
    return { phase, state, current, total };
  });
}

const write = (id: string, state: StepProgress['state'], current: number, total = 100) => {
  return { id, phase: 'write', state, current, total };
};

describe('the progress of all drives', () => {
  it('is not told of one drive, which tells it itself', () => {
    assert.deepEqual(totalsOf(1, [write('a', 'active', 10), write('a', 'done', 100)]), []);
  });

  it('takes drives that have not begun for ones with as much to do', () => {
    const [first] = totalsOf(3, [write('a', 'active', 10)]);
    assert.deepEqual(first, { phase: 'write', state: 'active', current: 10, total: 300 });
  });

  it('is done when every drive is', () => {
    const totals = totalsOf(2, [write('a', 'active', 10), write('a', 'done', 100), write('b', 'done', 100)]);
    assert.deepEqual(totals.at(-1), { phase: 'write', state: 'done', current: 200, total: 200 });
  });

  it('does not wait for a drive that has failed, in whatever phase', () => {
    const wipe = { id: 'b', phase: 'wipe', state: 'failed' } as const;
    const totals = totalsOf(2, [write('a', 'active', 10), write('a', 'done', 100), wipe]);
    assert.deepEqual(totals.at(-1), { phase: 'write', state: 'done', current: 100, total: 100 });
  });

  it('fails when every drive has', () => {
    const totals = totalsOf(2, [write('a', 'active', 10), write('a', 'failed', 20), write('b', 'failed', 0)]);
    assert.equal(totals.at(-1)?.state, 'failed');
  });
});
