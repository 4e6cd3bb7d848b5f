import assert from 'node:assert/strict';
import { Duplex, PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { relay } from '../../../src/lib/device/stdio-relay.js';

const { signal } = new AbortController();

function streams() {
  return { stdin: new PassThrough(), stdout: new PassThrough() };
}

describe('relay', () => {
  it('passes bytes both ways until the other end has said its last word', async () => {
    const local = streams();
    const [mine, theirs] = [new PassThrough(), new PassThrough()];
    const relaying = relay(Duplex.from({ readable: theirs, writable: mine }), local, signal);
    local.stdin.end('question');
    assert.equal(await text(mine), 'question');
    theirs.end('answer');
    await relaying;
    assert.equal(await text(local.stdout.end()), 'answer');
  });

  it('fails with what breaks the stream', async () => {
    const stream = new PassThrough();
    const relaying = relay(stream, streams(), signal);
    stream.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
    await assert.rejects(relaying, { kind: 'unreachable', code: 'connection-lost' });
  });

  it('ends when it is aborted, and when nobody listens any more', async () => {
    const abort = new AbortController();
    const aborted = relay(new PassThrough(), streams(), abort.signal);
    abort.abort();
    await aborted;
    const local = streams();
    const left = relay(new PassThrough(), local, signal);
    local.stdout.destroy(new Error('EPIPE'));
    await left;
  });
});
