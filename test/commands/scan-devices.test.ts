import assert from 'node:assert/strict';
import { type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { davit, davitJson, watchDavit } from '../support/davit.js';
import {
  createNetwork,
  type NetworkedDevice,
  networkSkipReason,
  type TestNetwork,
} from '../support/network-namespace.js';
import { type SshServer, sshServerSkipReason, startSshServer } from '../support/ssh-server.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const skip = networkSkipReason() || sshServerSkipReason();
const uuids = ['aaaaaa14d6bb1ee1ed1eb7a8e05ce0d0', 'bbbbbb24d6bb1ee1ed1eb7a8e05ce0d0'] as const;

describe('davit scan of devices with servers', { skip }, () => {
  let network: TestNetwork;
  let servers: SshServer[];
  before(async () => {
    network = await createNetwork([
      { hostname: 'balena' },
      { hostname: 'balena' },
      { hostname: '63ec46c' },
      { hostname: 'laptop', port: false },
    ]);
    servers = await Promise.all(
      uuids.map((uuid, index) =>
        startSshServer({ port: 22222, wrapper: inside(network, index), configJson: { uuid, developmentMode: true } }),
      ),
    );
    await started(device(2), engineAndSupervisor);
    // What is no device: it knows no multicast DNS, and has something on the port of devices.
    await started(device(3), `require('node:net').createServer().listen(22222, () => console.log('ready'));`);
  });
  after(async () => {
    await Promise.all(servers.map((server) => server.close()));
    await network.close();
  });

  const device = (index: number): NetworkedDevice => {
    const one = network.devices[index];
    if (one === undefined) throw new Error('no such device');
    return one;
  };

  /** A user of this computer with a data folder of their own, who logs in to the devices with their default key. */
  async function user(t: TestContext) {
    const HOME = await temporaryFolder(t);
    const folder = path.join(HOME, '.ssh');
    await mkdir(folder);
    const environment = { HOME, DAVIT_DATA_DIR: path.join(HOME, 'data'), SSH_AUTH_SOCK: undefined };
    return {
      options: { wrapper: network.wrapper, environment },
      /** Takes the key of one device as the default one. */
      useKeyOf: (index: number) => copyFile(servers[index]?.identityFile ?? '', path.join(folder, 'id_ed25519')),
    };
  }

  it('tells two devices of one name apart by their host keys, and does not choose between them', async (t) => {
    const { options } = await user(t);
    const { document } = await davitJson(['scan', '--timeout', '1'], options);
    const both = devicesOf(document).filter(({ hostname }) => hostname === 'balena.local');
    assert.deepEqual(
      both.map(({ hostKey, addresses }) => [hostKey, addresses[0]]).sort(),
      (await Promise.all(servers.map(async (one, index) => [await one.hostFingerprint(), device(index).ipv4]))).sort(),
    );
    for (const environment of [
      options.environment,
      { ...options.environment, DAVIT_DATA_DIR: `${options.environment.HOME}/x` },
    ]) {
      const asked = await davitJson(['ssh', 'balena', '--json', '--', 'true'], { ...options, environment });
      assert.equal(codeOf(asked.document), 'device-ambiguous', JSON.stringify(asked.document));
      assert.match(JSON.stringify(asked.document), /10\.77\.0\.2.*10\.77\.1\.3|10\.77\.1\.3.*10\.77\.0\.2/s);
    }
  });

  it('learns the UUID of a device that was logged in to, and reaches it by that from then on', async (t) => {
    const { options, useKeyOf } = await user(t);
    await useKeyOf(1);
    const address = device(1).ipv4 ?? '';
    assert.equal((await davit(['ssh', address, '--', 'true'], options)).exitCode, 0);
    const { stdout } = await davit(['ssh', uuids[1].slice(0, 5), '--', 'cat /mnt/boot/config.json'], options);
    assert.match(stdout, new RegExp(uuids[1]));
    const { document } = await davitJson(['scan', '--timeout', '1'], options);
    const found = devicesOf(document).find(({ addresses }) => addresses.includes(address));
    assert.deepEqual([found?.uuid, found?.mode, found?.known?.uuid], [uuids[1], 'development', uuids[1]]);
  });

  it('reaches a device that it has met without asking the network for it', async (t) => {
    const { options, useKeyOf } = await user(t);
    await useKeyOf(0);
    const { ipv4 = '' } = device(0);
    assert.equal((await davit(['ssh', ipv4, '--', 'true'], options)).exitCode, 0);
    const listener = await started(device(0), countQuestions);
    let questions = 0;
    listener.stdout?.on('data', () => questions++);
    const counts: number[] = [];
    // The network is asked when the knock at the last address takes unusually long, as on a busy machine.
    for (let round = 0; round < 3; round++) {
      questions = 0;
      assert.equal((await davit(['ssh', uuids[0], '--', 'true'], options)).exitCode, 0);
      counts.push(questions);
    }
    listener.kill();
    assert.ok(counts.includes(0), `asked ${counts.join()} times`);
  });

  it('takes no engine at the last address for that of the device unless it proves to be', async (t) => {
    const { options } = await user(t);
    const { ipv4 = '' } = device(2);
    const known = { hostname: 'absent', addresses: [ipv4], seenAt: '2026-01-01T00:00:00.000Z' };
    const folder = options.environment.DAVIT_DATA_DIR;
    await mkdir(folder);
    for (const [engineId, code] of [
      ['OTHER', 'device-not-found'],
      // It goes on until the engine of this test, which lists no containers in this way, has no answer.
      ['ENGINE', 'engine-object-not-found'],
    ] as const) {
      const devices = [{ ...known, engineId }];
      await writeFile(path.join(folder, 'devices.json'), JSON.stringify({ version: 1, devices }));
      const { document } = await davitJson(['ssh', 'absent', 'nothing', '--json', '--', 'true'], options);
      assert.equal(codeOf(document), code);
    }
  });

  it('takes no engine for that of a device that was asked for by its UUID because it has its host name', async (t) => {
    const { options } = await user(t);
    const known = {
      uuid: uuids[0].replace('aaaaaa1', 'ffffff1'),
      hostname: '63ec46c',
      aliases: ['bench'],
      engineId: 'OTHER',
    };
    const folder = options.environment.DAVIT_DATA_DIR;
    await mkdir(folder);
    await writeFile(path.join(folder, 'devices.json'), JSON.stringify({ version: 1, devices: [known] }));
    for (const [name, code] of [
      // The engine of this test has no answer to what it is asked next.
      ['63ec46c', 'engine-object-not-found'],
      // There is no SSH server that could show who it is.
      [known.uuid, 'econnrefused'],
      ['bench', 'econnrefused'],
    ] as const) {
      const { document } = await davitJson(['ssh', name, 'nothing', '--json', '--', 'true'], options);
      assert.equal(codeOf(document), code, JSON.stringify(document));
    }
  });

  it('refuses another device that has the address at which the asked one was last seen', async (t) => {
    const { options, useKeyOf } = await user(t);
    await useKeyOf(1);
    const { ipv4 = '' } = device(1);
    assert.equal((await davit(['ssh', ipv4, '--', 'true'], options)).exitCode, 0);
    const other = servers[1];
    await other?.changeHostKey();
    const { document, exitCode } = await davitJson(['ssh', uuids[1], '--json', '--', 'true'], options);
    assert.deepEqual([exitCode, codeOf(document)], [3, 'device-not-found']);
    assert.match(JSON.stringify(document), /where it was last seen, is another device/);
  });

  it('tells what the engine and the Supervisor say, and keeps secrets among it to itself', async (t) => {
    const { options } = await user(t);
    const { document } = await davitJson(['scan', '--timeout', '1', '--interface', 'lan2'], options);
    const [found] = devicesOf(document);
    const { addresses, ...facts } = found ?? { addresses: [] };
    assert.equal(addresses[0], device(2).ipv4);
    assert.deepEqual(facts, {
      hostname: '63ec46c.local',
      interfaces: ['lan2'],
      uuid: '63ec46c14d6bb1ee1ed1eb7a8e05ce0d',
      shortUuid: '63ec46c',
      mode: 'development',
      os: 'balenaOS 6.8.1+rev2',
      osVersion: '6.8.1+rev2',
      osVariant: null,
      deviceType: 'raspberrypi4-64',
      architecture: 'aarch64',
      engineVersion: '20.10.43',
      supervisorVersion: '17.1.2',
      isFlasher: false,
      openPorts: [2375, 48484],
      sshPort: 22222,
      hostKey: null,
      known: null,
    });
    assert.ok(!JSON.stringify(document).includes('hidden'));
    const again = await davitJson(['scan', '--timeout', '1', '--interface', 'lan2'], options);
    const [{ known } = { known: null }] = devicesOf(again.document);
    assert.deepEqual([known?.name, known?.uuid], ['63ec46c', found?.uuid]);
  });

  it('finds with --sweep what announces nothing, and says what is no range', async (t) => {
    const { options } = await user(t);
    const words = ['scan', '--timeout', '1', '--interface', 'lan3', '--sweep', '10.77.3.0/24'];
    const { document } = await davitJson(words, options);
    assert.deepEqual(
      devicesOf(document).map(({ hostname, addresses, interfaces, openPorts }) => [
        hostname,
        addresses,
        interfaces,
        openPorts,
      ]),
      [[null, [device(3).ipv4], ['lan3'], [22222]]],
    );
    for (const [range, code] of [
      ['10.0.0.0/8', 'range-too-large'],
      ['10.0.0.0', 'invalid-range'],
      ['10.0.0.0/33', 'invalid-range'],
      ['fe80::/64', 'invalid-range'],
    ] as const) {
      const refused = await davitJson(['scan', '--sweep', range], options);
      assert.deepEqual([refused.exitCode, codeOf(refused.document)], [2, code], range);
    }
  });

  it('finds with --sweep a device whose network drops multicast, with its name', async (t) => {
    const { options } = await user(t);
    const drop = (action: string) =>
      Promise.all(
        [
          ['iptables', '224.0.0.0/4'],
          ['ip6tables', 'ff00::/8'],
        ].map(([program = '', group = '']) => network.run(program, [action, 'OUTPUT', '-d', group, '-j', 'DROP'])),
      );
    const set = await drop('-A');
    if (set.some(({ exitCode }) => exitCode !== 0)) {
      t.skip('no packet filter on this machine');
      return;
    }
    try {
      const silent = await davit(['scan', '--timeout', '1', '--interface', 'lan2'], options);
      assert.equal(silent.exitCode, 3);
      const words = ['scan', '--timeout', '1', '--interface', 'lan2', '--sweep', '10.77.2.0/28'];
      const [found, ...others] = devicesOf((await davitJson(words, options)).document);
      assert.deepEqual([found?.hostname, found?.addresses[0], others], ['63ec46c.local', device(2).ipv4, []]);
    } finally {
      await drop('-D');
    }
  });

  it('watches devices go and come back, and networks too, one line of JSON for each change', async (t) => {
    const { options } = await user(t);
    const lan2 = (state: string) => network.run('ip', ['link', 'set', 'lan2', state]);
    await lan2('down');
    const watched = watchDavit(['scan', '--watch', '--json'], options);
    const lines = () => linesOf(watched.output()).filter(({ device: { hostname } }) => hostname === '63ec46c.local');
    const untilSeen = async (what: string, isSeen: () => boolean) => {
      const end = performance.now() + 40_000;
      while (!isSeen()) {
        if (performance.now() > end) throw new Error(`no ${what}: ${watched.output()}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    const until = (type: string, count: number) =>
      untilSeen(type, () => lines().filter((line) => line.type === type).length >= count);
    await untilSeen('other device', () => watched.output().includes('found'));
    assert.deepEqual(lines(), []);
    await lan2('up');
    await until('found', 1);
    await device(2).setConnected(false);
    await until('lost', 1);
    await device(2).setConnected(true);
    await until('found', 2);
    watched.child.kill('SIGINT');
    const { exitCode, stdout, stderr } = await watched.result;
    assert.deepEqual([exitCode, stderr], [130, '']);
    for (const line of stdout.trim().split('\n')) assert.doesNotThrow(() => JSON.parse(line) as unknown, line);
  });
});

function inside(network: TestNetwork, index: number): string[] {
  return ['ip', 'netns', 'exec', network.devices[index]?.namespace ?? ''];
}

async function started(device: NetworkedDevice, script: string): Promise<ChildProcess> {
  const child = device.start(process.execPath, ['--eval', script]);
  child.stderr?.pipe(process.stderr);
  if (child.stdout !== null) await once(child.stdout, 'data');
  return child;
}

const engineAndSupervisor = `
  const { createServer } = require('node:http');
  const id = 'c'.repeat(64);
  const engine = {
    '/info': { ID: 'ENGINE', Name: '63ec46c', OperatingSystem: 'balenaOS 6.8.1', Architecture: 'aarch64' },
    '/version': { Version: '20.10.43' },
    '/containers/json': [
      { Id: 'd'.repeat(64), Names: ['/balena_supervisor'], Image: 'registry2/x:v16.0.0', Labels: {} },
      { Id: id, Names: ['/main_1_1_10ca12e1ea5e'], Image: 'x', Labels: { 'io.balena.supervised': 'true' } },
    ],
    ['/containers/' + id + '/json']: {
      Config: { Env: ['SECRET=hidden', 'BALENA_DEVICE_UUID=63ec46c14d6bb1ee1ed1eb7a8e05ce0d', 'BALENA_HOST_OS_VERSION=balenaOS 6.8.1+rev2'] },
    },
  };
  const supervisor = {
    '/ping': 'OK',
    '/v2/version': { status: 'success', version: '17.1.2' },
    '/v2/local/device-info': { status: 'success', info: { arch: 'aarch64', deviceType: 'raspberrypi4-64' } },
    '/v1/device': { os_version: 'balenaOS 6.8.1+rev2', supervisor_version: '17.1.2' },
  };
  const serve = (answers) => (request, response) => {
    const answer = answers[request.url];
    response.statusCode = answer === undefined ? 404 : 200;
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
  };
  createServer(serve(engine)).listen(2375, () =>
    createServer(serve(supervisor)).listen(48484, () => console.log('ready')));
`;

/** Prints a line for each packet that arrives on port 5353. */
const countQuestions = `
  const address = Object.values(require('node:os').networkInterfaces()).flat().find((one) => one.address.startsWith('10.77.')).address;
  const socket = require('node:dgram').createSocket({ type: 'udp4', reuseAddr: true });
  socket.on('message', (message) => (message[2] & 0x80) === 0 && console.log('question'));
  socket.bind(5353, () => {
    socket.addMembership('224.0.0.251', address);
    console.log('ready');
  });
`;

interface Found {
  readonly hostname: string | null;
  readonly uuid: string | null;
  readonly mode: string;
  readonly hostKey: string | null;
  readonly addresses: readonly string[];
  readonly interfaces: readonly string[];
  readonly openPorts: readonly number[];
  readonly known: { readonly name: string; readonly uuid: string | null } | null;
}

function devicesOf(document: unknown): readonly Found[] {
  const { devices } = document as { devices?: readonly Found[] };
  assert.ok(devices !== undefined, JSON.stringify(document));
  return devices;
}

function linesOf(output: string): readonly { readonly type: string; readonly device: Found }[] {
  const whole = output.split('\n').slice(0, -1);
  return whole
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { type: string; device: Found });
}

function codeOf(document: unknown): unknown {
  return (document as { error?: { code?: unknown } }).error?.code;
}
