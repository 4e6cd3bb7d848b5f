import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { Failure } from '../../../src/lib/failure/failure.js';
import { readHostKey } from '../../../src/lib/ssh/read-host-key.js';

const { signal } = new AbortController();

async function portOf(t: TestContext, onSocket: (socket: Socket) => void): Promise<number> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    onSocket(socket);
  }).listen(0, '127.0.0.1');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

describe('readHostKey', () => {
  it('gives up on a server that never says anything', { timeout: 60_000 }, async (t) => {
    const port = await portOf(t, () => undefined);
    assert.equal(await readHostKey('127.0.0.1', port, signal), undefined);
  });

  it('gives up at once when it is aborted', { timeout: 60_000 }, async (t) => {
    const abort = new AbortController();
    const port = await portOf(t, () => {
      abort.abort();
    });
    const reading = readHostKey('127.0.0.1', port, abort.signal);
    // It may have been connected already.
    await reading.then(
      (key) => {
        assert.equal(key, undefined);
      },
      (error: unknown) => {
        assert.ok(error instanceof Failure && error.code === 'interrupted');
      },
    );
  });
});
