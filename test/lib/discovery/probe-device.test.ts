import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { it } from 'node:test';
import { noFacts } from '../../../src/lib/discovery/device-facts.js';
import { probeDevice } from '../../../src/lib/discovery/probe-device.js';

it('is not thrown off by something else that answers where an engine would', async (t) => {
  const address = '127.0.0.77';
  const server = createServer((_, response) => response.end('<html>welcome</html>')).listen(2375, address);
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const facts = await probeDevice({ address, sshPort: 22222 }, new AbortController().signal);
  assert.deepEqual(facts, { ...noFacts, engineId: undefined, mode: 'development', openPorts: [2375] });
});
