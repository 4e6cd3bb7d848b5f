import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import path from 'node:path';
import { it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Failure } from '../../../src/lib/failure/failure.js';
import { ignoreProgress } from '../../../src/lib/platform/progress.js';
import { HostKeyStore } from '../../../src/lib/ssh/host-key-store.js';
import { openSsh } from '../../../src/lib/ssh/open-ssh.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

it('gives up in 10 s on a server that takes the connection and says nothing, and not on one that has spoken', async (t) => {
  const store = new HostKeyStore(path.join(await temporaryFolder(t), 'known_hosts'));
  for (const [greeting, seconds] of [
    ['', 10],
    ['SSH-2.0-slow\r\n', 20],
  ] as const) {
    const server = createServer((socket) => {
      socket.on('error', () => undefined).write(greeting);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const signal = new AbortController().signal;
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const failures: unknown[] = [];
    const target = { name: 'device', address: '127.0.0.1', signal, progress: ignoreProgress };
    const opening = openSsh(target, { port }, store).catch((error: unknown) => failures.push(error));
    const [socket] = (await once(server, 'connection')) as [Socket];
    // Its own greeting shows that the client is under way, and the answer to ours comes after it.
    await once(socket, 'data');
    for (let turns = 0; turns < 100; turns++) await turn();
    t.mock.timers.tick(seconds * 1000 - 1);
    await turn();
    assert.equal(failures.length, 0);
    t.mock.timers.tick(1);
    await opening;
    const [failure] = failures;
    assert.ok(failure instanceof Failure && failure.kind === 'unreachable');
    t.mock.timers.reset();
    server.close();
  }
});
