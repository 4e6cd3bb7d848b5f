import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { json } from 'node:stream/consumers';
import { resolveDevice } from '../../../src/lib/discovery/resolve.js';
import { projectRoot } from '../../support/davit.js';
import { startHostAvahi } from '../../support/host-avahi.js';
import { createNetwork, networkSkipReason, type TestNetwork } from '../../support/network-namespace.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const signal = new AbortController().signal;

describe('resolveDevice', () => {
  it('takes addresses as they are', async () => {
    for (const [given, address] of [
      ['192.168.1.20', '192.168.1.20'],
      ['2001:db8::1', '2001:db8::1'],
      ['[2001:db8::1]', '2001:db8::1'],
      ['fe80::1%lo', 'fe80::1%lo'],
      ['[fe80::1%lo]', 'fe80::1%lo'],
    ] as const) {
      assert.deepEqual(await resolveDevice(given, { signal }), { name: address, addresses: [address] });
    }
  });

  it('asks for the interface of a link-local address', async () => {
    await assert.rejects(resolveDevice('fe80::1', { signal }), { kind: 'usage', code: 'zone-missing' });
  });

  it('says that an interface is not there instead of trying to connect through it', async () => {
    const expected = { kind: 'not-found', code: 'interface-not-found' };
    await assert.rejects(resolveDevice('fe80::1%absent0', { signal }), expected);
  });

  it('never takes a number for an address, which is how the system reads one', async () => {
    const expected = { kind: 'not-found', code: 'device-not-found' };
    await assert.rejects(resolveDevice('1270001', { signal }), expected);
  });

  it('refuses what can be no name', async () => {
    for (const bad of [
      '',
      ' ',
      'a b',
      '-x',
      'a/b',
      'dev:22222',
      'x'.repeat(64),
      'a..b',
      'x.'.repeat(150),
      'a\u001B[2Jb',
      '127.1',
      '192.168.1.300',
    ]) {
      await assert.rejects(resolveDevice(bad, { signal }), { kind: 'usage', code: 'invalid-device-name' }, bad);
    }
  });

  it('asks the system for names that are not local', async () => {
    assert.deepEqual((await resolveDevice('localhost', { signal })).addresses[0], '127.0.0.1');
  });

  it('ends as interrupted when it is aborted', async () => {
    const abort = new AbortController();
    const resolving = resolveDevice('nobody.local', { signal: abort.signal });
    abort.abort();
    await assert.rejects(resolving, { kind: 'interrupted' });
  });
});

describe('resolveDevice in a network', { skip: networkSkipReason() }, () => {
  let network: TestNetwork;
  before(async () => {
    network = await createNetwork([
      { hostname: 'aaaaaa1' },
      { hostname: 'bbbbbb2', versions: 'ipv6' },
      { hostname: 'laptop', port: false },
    ]);
  });
  after(() => network.close());

  const script = `
    import { resolveDevice } from './src/lib/discovery/resolve.ts';
    const started = performance.now();
    const answer = await resolveDevice(process.argv[1], { signal: new AbortController().signal })
      .catch(({ kind, code }) => ({ kind, code }));
    console.log(JSON.stringify({ ...answer, seconds: (performance.now() - started) / 1000 }));
  `;

  async function resolve(name: string): Promise<Record<string, unknown>> {
    const words = [
      ...network.wrapper,
      process.execPath,
      '--import',
      'tsx',
      '--input-type=module',
      '--eval',
      script,
      name,
    ];
    const [command, ...rest] = words;
    const child = spawn(command ?? '', rest, { cwd: projectRoot, stdio: ['ignore', 'pipe', 'inherit'] });
    return (await json(child.stdout)) as Record<string, unknown>;
  }

  it('asks every interface itself for names with and without .local, in any letter case', async () => {
    for (const name of ['aaaaaa1', 'aaaaaa1.local', 'AAAAAA1.Local', 'laptop']) {
      const { addresses, seconds } = await resolve(name);
      assert.equal((addresses as string[])[0], network.devices[name === 'laptop' ? 2 : 0]?.ipv4);
      assert.ok((seconds as number) < 1, `${name} took ${String(seconds)} s`);
    }
  });

  it('gives the link-local IPv6 address with its interface when there is no other', async () => {
    const { addresses } = await resolve('bbbbbb2.local');
    assert.match(String(addresses), /^fe80::[0-9a-f:]+%lan1$/);
  });

  it('finds the same as Avahi, beside it', async (t) => {
    const avahi = await startHostAvahi(network, await temporaryFolder(t));
    try {
      for (const [name, option] of [
        ['aaaaaa1.local', '-4n'],
        ['bbbbbb2.local', '-6n'],
        ['laptop.local', '-4n'],
      ] as const) {
        const [, address] = (await avahi.run('avahi-resolve', option, name)).trim().split('\t');
        const { addresses } = await resolve(name);
        assert.equal((addresses as string[])[0]?.replace(/%.*/, ''), address);
      }
    } finally {
      await avahi.close();
    }
  });

  it('fails as not found within 5 s when nobody answers', async () => {
    const { kind, code, seconds } = await resolve('nobody.local');
    assert.deepEqual([kind, code], ['not-found', 'device-not-found']);
    assert.ok((seconds as number) < 5, `took ${String(seconds)} s`);
  });
});
