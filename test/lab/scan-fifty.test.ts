import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { startDavit } from '../support/davit.js';
import { createNetwork, networkSkipReason, type TestNetwork } from '../support/network-namespace.js';

const hostnames = Array.from({ length: 50 }, (_, index) => `${index.toString(16).padStart(2, '0')}abcde`);

describe('davit scan among fifty devices on three interfaces', { skip: networkSkipReason() }, () => {
  let network: TestNetwork;
  before(async () => {
    network = await createNetwork(hostnames.map((hostname, at) => ({ hostname, segment: `segment ${at % 3}` })));
  });
  after(() => network.close());

  it('shows all of them, each once, while it is still listening', async () => {
    const child = startDavit(['scan', '--timeout', '60'], { wrapper: network.wrapper });
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (hostnames.every((hostname) => output.includes(`${hostname}.local`))) child.kill('SIGINT');
    });
    const [exitCode] = (await once(child, 'close')) as [number | null];
    assert.equal(exitCode, 130, 'it was interrupted before its time was up');
    const [, ...lines] = output.trimEnd().split('\n');
    assert.deepEqual(lines.map((line) => line.split('.local')[0]).sort(), hostnames.toSorted());
  });
});
