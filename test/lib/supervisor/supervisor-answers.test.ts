import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { it } from 'node:test';
import { supervisorAnswers } from '../../../src/lib/supervisor/supervisor-answers.js';
import { tcpSupervisorConnection } from '../../../src/lib/supervisor/supervisor-connection.js';

it('takes a server of another kind for no Supervisor', async (t) => {
  const server = createServer((socket) => socket.on('error', () => undefined).end('SSH-2.0-other\r\n'));
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const { port } = address;
  assert.equal(
    await supervisorAnswers(tcpSupervisorConnection('127.0.0.1', port), new AbortController().signal),
    false,
  );
});
