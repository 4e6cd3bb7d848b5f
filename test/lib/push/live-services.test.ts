import assert from 'node:assert/strict';
import { it } from 'node:test';
import { EngineLink } from '../../../src/lib/device/engine-link.js';
import { tcpEngineConnection } from '../../../src/lib/engine/engine-connection.js';
import { keepInStep } from '../../../src/lib/push/live-services.js';

it('follows nothing, until it is to end, where all images are given', { timeout: 10_000 }, async () => {
  const unused = () => Promise.reject(new Error('nobody asks for it'));
  const link = new EngineLink(() =>
    Promise.resolve({
      name: 'crane',
      address: '127.0.0.1',
      via: 'local' as const,
      engine: () => Promise.resolve(tcpEngineConnection('127.0.0.1', 9)),
      supervisor: () => Promise.resolve(undefined),
      sshStream: unused,
      rememberHostname: () => Promise.resolve(),
      isThere: () => Promise.resolve(true),
      ssh: unused,
      close: () => Promise.resolve(),
    }),
  );
  const ended = new AbortController();
  const following = keepInStep(link, [], { signal: ended.signal, progress: () => undefined });
  ended.abort();
  assert.equal(await following, undefined);
});
