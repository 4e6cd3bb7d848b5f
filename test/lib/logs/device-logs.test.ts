import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { it } from 'node:test';
import type { Device } from '../../../src/lib/device/device.js';
import { tcpEngineConnection } from '../../../src/lib/engine/engine-connection.js';
import { Failure } from '../../../src/lib/failure/failure.js';
import { EngineLink } from '../../../src/lib/device/engine-link.js';
import { openDeviceLogs } from '../../../src/lib/logs/device-logs.js';
import { ignoreProgress } from '../../../src/lib/platform/progress.js';

it('stops following a device that came back as another one', async (t) => {
  const container = { Id: 'c', Name: '/main_1_1', Image: 'i', State: { Status: 'running', StartedAt: '' } };
  const server = createServer((request, response) => {
    if (request.url === '/_ping') response.end('OK');
    else if (request.url?.startsWith('/containers/json') === true)
      response.end(JSON.stringify([{ Id: 'c', Names: ['/main_1_1'], ImageID: 'i', State: 'running' }]));
    else if (request.url === '/containers/c/json')
      response.end(JSON.stringify({ ...container, Config: { Tty: true } }));
    else response.write('2026-03-01T12:00:00.000000000Z hello\n', () => request.socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');

  const engine = tcpEngineConnection('127.0.0.1', address.port);
  const device: Device = {
    name: 'crane',
    address: '127.0.0.1',
    via: 'local',
    engine: () => Promise.resolve(engine),
    supervisor: () => Promise.resolve(undefined),
    sshStream: () => Promise.reject(new Error('unused')),
    rememberHostname: () => Promise.resolve(),
    isThere: () => Promise.resolve(true),
    ssh: () => Promise.reject(new Error('nobody asks for it')),
    close: () => Promise.resolve(),
  };
  let opened = 0;
  const link = new EngineLink(() =>
    opened++ === 0 ? Promise.resolve(device) : Promise.reject(new Failure('refused', 'host-key-changed', 'changed')),
  );
  const signal = AbortSignal.timeout(5000);
  const read = async () => {
    const request = { services: ['main'], system: false, follow: true, signal, progress: ignoreProgress };
    const { lines } = await openDeviceLogs([{ name: 'crane', link }], request);
    for await (const line of lines) assert.equal(line.text, 'hello');
  };
  await assert.rejects(read(), { code: 'host-key-changed' });
});
