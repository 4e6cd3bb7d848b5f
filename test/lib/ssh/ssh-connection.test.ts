import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { it } from 'node:test';
import ssh2 from 'ssh2';
import { SshConnection } from '../../../src/lib/ssh/ssh-connection.js';

it('keeps the exit code of a program that ends in the packet that reports its start', async (t) => {
  // OpenSSH cannot be made to answer that quickly at will; this server corks its answers into one packet.
  const sockets = createServer();
  const server = new ssh2.Server({ hostKeys: [ssh2.utils.generateKeyPairSync('ed25519').private] }, (client) => {
    client.on('authentication', (context) => {
      context.accept();
    });
    client.on('session', (acceptSession) => {
      acceptSession().on('exec', (accept) => {
        for (const socket of open) socket.cork();
        const stream = accept();
        stream.exit(42);
        stream.end();
        setImmediate(() => {
          for (const socket of open) socket.uncork();
        });
      });
    });
    client.on('error', () => undefined);
  });
  const open = new Set<import('node:net').Socket>();
  sockets.on('connection', (socket) => {
    open.add(socket);
    server.injectSocket(socket);
  });
  sockets.listen(0, '127.0.0.1');
  await once(sockets, 'listening');
  t.after(() => {
    for (const socket of open) socket.destroy();
    sockets.close();
  });
  const address = sockets.address();
  assert.ok(address !== null && typeof address === 'object');

  const client = new ssh2.Client();
  client.connect({ host: '127.0.0.1', port: address.port, username: 'root' });
  await once(client, 'ready');
  const connection = new SshConnection(client, 'device');
  assert.equal((await connection.run('anything')).exitCode, 42);
  await connection.close();
});
