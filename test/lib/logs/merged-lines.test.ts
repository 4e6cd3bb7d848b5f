import assert from 'node:assert/strict';
import { it } from 'node:test';
import { asTheyCome } from '../../../src/lib/logs/merged-lines.js';

it('leaves nothing behind at a source that is silent while others are not', async () => {
  let listeners = 0;
  class Silence<T> extends Promise<T> {
    override then<A = T, B = never>(
      done?: ((value: T) => A | PromiseLike<A>) | null,
      failed?: ((reason: unknown) => B | PromiseLike<B>) | null,
    ): Promise<A | B> {
      listeners += 1;
      return super.then(done, failed);
    }
  }
  async function* chatter() {
    for (let line = 0; line < 500; line++) yield await Promise.resolve(line);
  }
  const silent = chatter();
  silent.next = () => new Silence(() => undefined);
  let lines = 0;
  for await (const line of asTheyCome([silent, chatter()])) {
    assert.equal(line, lines);
    lines += 1;
    if (lines === 500) break;
  }
  assert.ok(listeners < 5, `${listeners} listeners`);
});
