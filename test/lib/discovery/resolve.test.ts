import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { json } from 'node:stream/consumers';
import { Failure } from '../../../src/lib/failure/failure.js';
import { resolveDevice } from '../../../src/lib/discovery/resolve.js';
import { ignoreProgress } from '../../../src/lib/platform/progress.js';
import { projectRoot } from '../../support/davit.js';
import { startHostAvahi } from '../../support/host-avahi.js';
import { createNetwork, networkSkipReason, type TestNetwork } from '../../support/network-namespace.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const options = { signal: new AbortController().signal, progress: ignoreProgress, knockPort: 2375 };

describe('resolveDevice', () => {
  it('takes addresses as they are', async () => {
    const { name, addresses, sshPort, lookAgain } = await resolveDevice('[2001:db8::1]:22', options);
    assert.deepEqual([name, addresses, sshPort, lookAgain], ['2001:db8::1', ['2001:db8::1'], 22, undefined]);
  });

  it('never takes a number for an address, which is how the system reads one', async () => {
    const expected = { kind: 'not-found', code: 'device-not-found' };
    await assert.rejects(resolveDevice('1270001', options), expected);
  });

  it('asks the system for names that are not local', async () => {
    assert.deepEqual((await resolveDevice('localhost', options)).addresses[0], '127.0.0.1');
  });

  const uuid = 'cafe1234c0ffee0000000000000000ff';
  const route = {
    uuid,
    address: `${uuid}.balena`,
    isOpen: true,
    openPort: () => Promise.reject(new Error()),
  };

  it('takes a way through another network to a device that is not in this one, and only then', async () => {
    const asked: unknown[] = [];
    const findRoute = (device: unknown) => {
      asked.push(device);
      return Promise.resolve(route);
    };
    const far = await resolveDevice(`admin@${uuid}:22`, { ...options, findRoute });
    assert.deepEqual([far.route, far.addresses, far.user, far.sshPort], [route, [`${uuid}.balena`], 'admin', 22]);
    assert.deepEqual(asked, [{ name: uuid, uuid }]);
    const near = await resolveDevice('localhost', { ...options, findRoute });
    assert.deepEqual([near.route, near.addresses[0]], [undefined, '127.0.0.1']);
  });

  it('tells why no way through another network was found, and goes on without one', async () => {
    const told: unknown[] = [];
    const failure = new Failure('unreachable', 'cloud', 'the cloud is away');
    const resolving = resolveDevice(uuid, {
      ...options,
      progress: (event) => told.push(event),
      findRoute: () => Promise.reject(failure),
    });
    await assert.rejects(resolving, { code: 'device-not-found' });
    assert.deepEqual(told, [{ type: 'notice', level: 'warning', text: 'the cloud is away' }]);
  });

  it('says of a part of an unknown UUID how the device is found', async () => {
    const word = uuid.slice(0, 12);
    const resolving = resolveDevice(word, options);
    await assert.rejects(resolving, ({ code, message, hint }: Failure) => {
      assert.equal(code, 'device-not-found');
      assert.match(message, /knows no device whose UUID begins with cafe1234c0ff/);
      return hint?.endsWith('cafe123') === true;
    });
  });

  it('ends as interrupted when it is aborted', async () => {
    const abort = new AbortController();
    const resolving = resolveDevice('nobody.local', { ...options, signal: abort.signal });
    abort.abort();
    await assert.rejects(resolving, { kind: 'interrupted' });
  });
});

/** What gives up after 5 s may take so many where the machine is slow; what does not give up takes minutes. */
const notMinutes = 30;

describe('resolveDevice in a network', { skip: networkSkipReason() }, () => {
  let network: TestNetwork;
  before(async () => {
    network = await createNetwork([
      { hostname: 'aaaaaa1' },
      { hostname: 'bbbbbb2', versions: 'ipv6' },
      { hostname: 'laptop', port: false },
      { hostname: 'cafe' },
    ]);
  });
  after(() => network.close());

  const script = `
    import { Inventory } from './src/lib/discovery/inventory.ts';
    import { resolveDevice } from './src/lib/discovery/resolve.ts';
    const told = [];
    const progress = ({ text }) => told.push(text);
    const [name, file] = process.argv.slice(1);
    const inventory = new Inventory(progress, file);
    const started = performance.now();
    const answer = await resolveDevice(name, { signal: new AbortController().signal, progress, knockPort: 2375, inventory })
      .catch(({ kind, code, message }) => ({ kind, code, message }));
    const seconds = (performance.now() - started) / 1000;
    const again = await answer.lookAgain?.();
    console.log(JSON.stringify({ ...answer, seconds, told, again: again?.addresses }));
  `;

  /** The file of an inventory that knows these. */
  async function knowing(t: TestContext, ...devices: object[]): Promise<string> {
    const file = path.join(await temporaryFolder(t), 'devices.json');
    await writeFile(file, JSON.stringify({ version: 1, devices }));
    return file;
  }

  async function resolve(name: string, inventory = '/nonexistent'): Promise<Record<string, unknown>> {
    const words = [
      ...network.wrapper,
      process.execPath,
      '--import',
      'tsx',
      '--input-type=module',
      '--eval',
      script,
      name,
      inventory,
    ];
    const [command, ...rest] = words;
    const child = spawn(command ?? '', rest, { cwd: projectRoot, stdio: ['ignore', 'pipe', 'inherit'] });
    return (await json(child.stdout)) as Record<string, unknown>;
  }

  it('asks every interface itself for names with and without .local, in any letter case', async () => {
    for (const name of ['aaaaaa1', 'aaaaaa1.local', 'AAAAAA1.Local', 'laptop']) {
      const { addresses } = await resolve(name);
      assert.equal((addresses as string[])[0], network.devices[name === 'laptop' ? 2 : 0]?.ipv4);
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

  const uuid = 'aaaaaa14d6bb1ee1ed1eb7a8e05ce0d0';
  const hostKey = `SHA256:${'A'.repeat(43)}`;

  it('finds a device by its UUID, whose beginning is its host name, without having seen it', async () => {
    const { addresses, uuid: wanted } = await resolve(uuid);
    assert.deepEqual([(addresses as string[])[0], wanted], [network.devices[0]?.ipv4, uuid]);
  });

  it('finds a known device by UUID, its beginning or alias, whatever its host name', async (t) => {
    const device = { uuid: '00112233445566778899aabbccddeeff', hostname: 'laptop', aliases: ['bench'], sshPort: 2200 };
    const file = await knowing(t, device);
    for (const name of [device.uuid, '0011', 'BENCH', 'laptop.local']) {
      const { addresses, ...rest } = await resolve(name, file);
      assert.equal((addresses as string[])[0], network.devices[2]?.ipv4, name);
      assert.deepEqual([rest.uuid, rest.name, rest.announcedSshPort], [device.uuid, 'laptop', 2200]);
    }
  });

  it('takes a word for the host name that a device has rather than for the beginning of the UUID of another', async (t) => {
    const address = network.devices[2]?.ipv4;
    const device = { uuid: 'cafe2233445566778899aabbccddeeff', hostname: 'laptop', addresses: [address], hostKey };
    const file = await knowing(t, device, {
      ...device,
      uuid: device.uuid.replace('cafe2', 'cafe3'),
      hostname: 'other',
    });
    const { name, uuid: wanted, addresses } = await resolve('cafe', file);
    assert.deepEqual([name, wanted, (addresses as string[])[0]], ['cafe', undefined, network.devices[3]?.ipv4]);
    const { uuid: meant, addresses: there } = await resolve('cafe2', file);
    assert.deepEqual([meant, (there as string[])[0]], [device.uuid, address]);
  });

  it('takes a provable device to be where it was, at once, and can look for it all the same', async (t) => {
    const other = network.devices[2]?.ipv4;
    const file = await knowing(t, { uuid, hostname: 'aaaaaa1', addresses: [other], hostKey });
    const { addresses, again, told } = await resolve('aaaaaa1', file);
    assert.deepEqual([addresses, told], [[other], []]);
    assert.equal((again as string[])[0], network.devices[0]?.ipv4);
  });

  it('finds a device that has moved without waiting for its last address', async (t) => {
    const file = await knowing(t, { uuid, hostname: 'aaaaaa1', addresses: ['10.77.0.200', '203.0.113.1'], hostKey });
    const { addresses, again } = await resolve('aaaaaa1', file);
    assert.deepEqual([(addresses as string[])[0], again], [network.devices[0]?.ipv4, undefined]);
  });

  it('believes the name rather than the last address of a device of which it has no proof', async (t) => {
    const file = await knowing(t, { uuid, hostname: 'aaaaaa1', addresses: [network.devices[2]?.ipv4] });
    const { addresses } = await resolve('aaaaaa1', file);
    assert.equal((addresses as string[])[0], network.devices[0]?.ipv4);
  });

  it('falls back to the last address when the name is not answered for, and says so', async (t) => {
    // Something answers there, which does not say who it is.
    const address = '10.77.2.1';
    const { addresses, told } = await resolve('absent', await knowing(t, { hostname: 'absent', addresses: [address] }));
    assert.deepEqual(addresses, [address]);
    assert.match(String(told), /absent does not answer by its name; trying 10\.77\.2\.1, where it was last seen/);
  });

  it('does not fall back to a last address at which somebody else is now', async (t) => {
    const address = network.devices[2]?.ipv4;
    const { code, message } = await resolve('absent', await knowing(t, { hostname: 'absent', addresses: [address] }));
    assert.equal(code, 'device-not-found');
    assert.match(String(message), /at 10\.77\.2\.4, where it was last seen, is laptop\.local/);
  });

  it('says where a known device was that is nowhere, in seconds', async (t) => {
    const file = await knowing(t, { hostname: 'absent', addresses: ['10.77.0.99'], hostKey });
    const { code, message, seconds } = await resolve('absent', file);
    assert.equal(code, 'device-not-found');
    assert.match(String(message), /nor does anything at 10\.77\.0\.99, where it was last seen/);
    assert.ok((seconds as number) < notMinutes, `took ${String(seconds)} s`);
  });

  it('lists the candidates of a beginning that is not enough', async (t) => {
    const file = await knowing(t, { uuid, hostname: 'aaaaaa1' }, { uuid: uuid.replace('aaaaaa1', 'aaaaaa2') });
    const { code, message } = await resolve('aaaaaa', file);
    assert.equal(code, 'device-ambiguous');
    assert.match(String(message), /aaaaaa14d6.*\n.*aaaaaa24d6/s);
  });

  it('tells which of two known devices of one name it is by where it is', async (t) => {
    const address = network.devices[0]?.ipv4;
    const file = await knowing(
      t,
      { uuid: uuid.replace('aaaaaa1', 'ffffff1'), hostname: 'aaaaaa1', addresses: ['10.99.0.1'], hostKey },
      { uuid, hostname: 'aaaaaa1', addresses: [address] },
    );
    const { uuid: found, addresses } = await resolve('aaaaaa1', file);
    assert.deepEqual([found, (addresses as string[])[0]], [uuid, address]);
  });

  it('fails as not found in seconds when nobody answers', async () => {
    const { kind, code, seconds } = await resolve('nobody.local');
    assert.deepEqual([kind, code], ['not-found', 'device-not-found']);
    assert.ok((seconds as number) < notMinutes, `took ${String(seconds)} s`);
  });
});
