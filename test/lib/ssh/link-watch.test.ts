import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { watchLink } from '../../../src/lib/ssh/link-watch.js';

describe('watchLink', () => {
  it('ends a link on which nothing arrives, within 10 s, and no other', (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const link = new PassThrough();
    link.on('error', () => undefined);
    watchLink(link);
    for (let seconds = 0; seconds < 60; seconds += 6) {
      t.mock.timers.tick(6000);
      // Whatever it is: a link full of data has no room for answers to questions.
      link.emit('data', Buffer.from('x'));
    }
    assert.equal(link.destroyed, false);
    t.mock.timers.tick(10_000);
    assert.equal(link.destroyed, true);
  });
});
