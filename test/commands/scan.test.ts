import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { davit, davitJson, davitProgram, startDavit } from '../support/davit.js';
import { startHostAvahi } from '../support/host-avahi.js';
import {
  createNetwork,
  type NetworkedDevice,
  networkSkipReason,
  type TestNetwork,
} from '../support/network-namespace.js';
import { openTerminal } from '../support/terminal.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const skip = networkSkipReason();

describe('davit scan', { skip }, () => {
  let network: TestNetwork;
  before(async () => {
    network = await createNetwork([
      { hostname: 'aaaaaa1' },
      { hostname: 'bbbbbb2', segment: 'shared' },
      { hostname: 'cccccc3', segment: 'shared', versions: 'ipv4' },
      { hostname: 'dddddd4', versions: 'ipv6' },
      { hostname: 'laptop', port: false },
    ]);
    await Promise.all(network.devices.map(startServices));
  });
  after(() => network.close());

  it('finds every device on every interface and both IP versions, and nothing else', async () => {
    const { exitCode, document } = await davitJson(['scan', '--timeout', '2'], { wrapper: network.wrapper });
    assert.equal(exitCode, 0);
    const [a, b, c, d] = network.devices;
    assert.deepEqual(withoutZones(document), {
      version: 1,
      devices: [
        found('aaaaaa1', [a?.ipv4, 'fe80::'], ['lan0'], development),
        found('bbbbbb2', [b?.ipv4, 'fe80::'], ['lan1'], production),
        found('cccccc3', [c?.ipv4], ['lan1'], development),
        found('dddddd4', ['fe80::'], ['lan2'], production),
      ],
    });
    assert.equal(d?.ipv4, undefined);
  });

  it('remembers what it found', async () => {
    const { document } = await davitJson(['device', 'list']);
    const names = devicesOf(document).map(({ hostname, addresses }) => [hostname, addresses[0]?.replace(/:.*/, '')]);
    const [a, b, c] = network.devices.map(({ ipv4 }) => ipv4);
    assert.deepEqual(names.sort(), [
      ['aaaaaa1', a],
      ['bbbbbb2', b],
      ['cccccc3', c],
      ['dddddd4', 'fe80'],
    ]);
  });

  it('shares port 5353 with an Avahi of this computer and finds what that finds', async (t) => {
    const avahi = await startHostAvahi(network, await temporaryFolder(t));
    try {
      const browsed = await avahi.run('avahi-browse', '-ptr', '_resin-device._sub._ssh._tcp');
      const fields = browsed.split('\n').map((line) => line.split(';'));
      const theirs = fields.filter(([kind]) => kind === '=').map((parts) => `${parts[6]} ${parts[7]}`);
      const { document } = await davitJson(['scan', '--timeout', '2'], { wrapper: network.wrapper });
      const ours = devicesOf(document).flatMap(({ hostname, addresses }) =>
        addresses.map((address) => `${hostname} ${address.replace(/%.*/, '')}`),
      );
      assert.deepEqual([...new Set(ours)].sort(), [...new Set(theirs)].sort());
      assert.equal(ours.length, 6);
    } finally {
      await avahi.close();
    }
  });

  it('finds them as well when another program keeps port 5353 for itself', async () => {
    const script = `
      const { createSocket } = require('node:dgram');
      for (const type of ['udp4', 'udp6']) createSocket({ type, ipv6Only: type === 'udp6' }).bind(5353);
      setTimeout(() => console.log('ready'), 50);
    `;
    const [command, ...words] = [...network.wrapper, process.execPath, '--eval', script];
    const keeper = spawn(command, words, { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await once(keeper.stdout, 'data');
      const { document } = await davitJson(['scan', '--timeout', '1'], { wrapper: network.wrapper });
      assert.equal(devicesOf(document).length, 4);
    } finally {
      keeper.kill();
    }
  });

  it('asks for what a responder leaves out and waits for what comes late', async () => {
    const laptop = network.devices[4];
    const responder = laptop?.start(process.execPath, ['--eval', sparseResponder, laptop.ipv4 ?? '']);
    if (responder?.stdout == null) throw new Error('no responder');
    try {
      await once(responder.stdout, 'data');
      const words = ['scan', '--timeout', '4', '--interface', 'lan3'];
      const { document } = await davitJson(words, { wrapper: network.wrapper });
      assert.deepEqual(
        devicesOf(document).map(({ hostname, addresses }) => [hostname, ...addresses]),
        [['eeeeee5.local', '10.77.3.99']],
      );
    } finally {
      responder.kill();
    }
  });

  it('shows each device as soon as it is found', async () => {
    const child = startDavit(['scan', '--timeout', '60'], { wrapper: network.wrapper });
    let output = '';
    for await (const text of child.stdout?.setEncoding('utf8') ?? []) {
      output += String(text);
      if (output.includes('aaaaaa1.local') && output.includes('dddddd4.local')) break;
    }
    assert.equal(child.exitCode, null, 'it is still listening');
    assert.match(output, /^NAME +ADDRESS +UUID +MODE/);
    assert.match(
      output,
      /^aaaaaa1\.local +10\.77\.0\.2 +aaaaaa1 +development +(?:aaaaaa1|new) +- +balenaOS 6\.8\.1 +22222,2375 +lan0 +20\.10\.43 +-$/m,
    );
    child.kill('SIGINT');
  });

  it('prints no line for a device before its slow engine has answered', async () => {
    const words = ['scan', '--timeout', '1', '--interface', 'lan1'];
    const { stdout } = await davit(words, { wrapper: network.wrapper });
    assert.match(stdout, /^bbbbbb2.*\ncccccc3\.local .* development .* balenaOS 6\.8\.1 .* 20\.10\.43 +-$/m);
  });

  it('shows on a terminal a table that fills, and leaves the whole of it', async (t) => {
    const words = [...network.wrapper, ...davitProgram, 'scan', '--timeout', '3', '--interface', 'lan1'];
    const terminal = await openTerminal(`${words.join(' ')}; cat`, { DAVIT_DATA_DIR: await temporaryFolder(t) });
    t.after(() => terminal.close());
    await terminal.until(/^cccccc3\.local .* unknown/m);
    await terminal.until(/^cccccc3\.local .* development/m);
    const screen = await terminal.until(/SUPERVISOR/);
    assert.equal(screen.match(/cccccc3\.local/g)?.length, 1, screen);
  });

  it('shows on a terminal what it warns of above the table', async (t) => {
    const folder = await temporaryFolder(t);
    const mount = `mount --bind ${folder} ${folder} && mount -o remount,ro,bind ${folder}`;
    const words = [...network.wrapper, ...davitProgram, 'scan', '--timeout', '2', '--interface', 'lan1'];
    const command = `unshare -m sh -c '${mount} && ${words.join(' ')}; echo exit=$?; cat'`;
    const terminal = await openTerminal(command, { DAVIT_DATA_DIR: folder });
    t.after(() => terminal.close());
    const screen = await terminal.until(/exit=/);
    assert.match(screen, /^warning:[^]* stay as they are\nNAME [^]*\nbbbbbb2[^]*\ncccccc3[^]*\nexit=0/);
    assert.equal(screen.match(/^NAME/gm)?.length, 1, screen);
  });

  it('listens on the given interface only', async () => {
    const words = ['scan', '--timeout', '1', '--interface', 'lan1'];
    const { document } = await davitJson(words, { wrapper: network.wrapper });
    assert.deepEqual(
      devicesOf(document).map((device) => device.hostname),
      ['bbbbbb2.local', 'cccccc3.local'],
    );
  });

  it('ends with 3 when there is no device, and names the interfaces when there is no such interface', async () => {
    const none = await davit(['scan', '--timeout', '1', '--interface', 'lan3'], { wrapper: network.wrapper });
    assert.deepEqual([none.exitCode, none.stdout], [3, '']);
    const unknown = await davitJson(['scan', '--interface', 'lan9'], { wrapper: network.wrapper });
    assert.equal(unknown.exitCode, 3);
    assert.match(JSON.stringify(unknown.document), /interface-not-found.*lan0, lan1, lan2, lan3/);
  });

  it('ends with 130 on Ctrl-C, before its time is up', async () => {
    const result = await davit(['scan', '--timeout', '60'], {
      wrapper: network.wrapper,
      kill: { signal: 'SIGINT', when: (output) => output.includes('.local') },
    });
    assert.equal(result.exitCode, 130);
  });

  it('does not find a device whose cable is out', async () => {
    const [device] = network.devices;
    await device?.setConnected(false);
    const { document } = await davitJson(['scan', '--timeout', '1'], { wrapper: network.wrapper });
    await device?.setConnected(true);
    assert.ok(!devicesOf(document).some(({ hostname }) => hostname === 'aaaaaa1.local'));
  });
});

const production = {
  uuid: null,
  mode: 'production',
  os: null,
  osVersion: null,
  osVariant: null,
  deviceType: null,
  architecture: null,
  engineVersion: null,
  supervisorVersion: null,
  isFlasher: false,
  openPorts: [22222],
  hostKey: null,
  known: null,
};
const development = {
  ...production,
  mode: 'development',
  os: 'balenaOS 6.8.1',
  osVersion: '6.8.1',
  architecture: 'aarch64',
  engineVersion: '20.10.43',
  openPorts: [22222, 2375],
};

/** Answers each question with exactly the record asked for, the address a second late. */
const sparseResponder = `
  const mdns = require('multicast-dns')({ interface: process.argv[1], bind: '0.0.0.0' });
  const records = {
    PTR: { name: '_resin-device._sub._ssh._tcp.local', type: 'PTR', data: 'eeeeee5._ssh._tcp.local' },
    SRV: { name: 'eeeeee5._ssh._tcp.local', type: 'SRV', data: { target: 'eeeeee5.local', port: 22222 } },
    A: { name: 'eeeeee5.local', type: 'A', data: '10.77.3.99' },
  };
  mdns.on('query', ({ questions }) => {
    for (const { name, type } of questions) {
      const record = records[type];
      if (record?.name !== name) continue;
      setTimeout(() => mdns.respond([{ ttl: 120, ...record }]), type === 'A' ? 1000 : 0);
    }
  });
  mdns.on('ready', () => console.log('ready'));
`;

function found(name: string, addresses: unknown[], interfaces: string[], facts: object): object {
  return { hostname: `${name}.local`, shortUuid: name, sshPort: 22222, addresses, interfaces, ...facts };
}

/** The document with every link-local address cut to its beginning, as nobody knows them beforehand. */
function withoutZones(document: unknown): unknown {
  return JSON.parse(JSON.stringify(document).replaceAll(/fe80::[0-9a-f:]+%lan\d/g, 'fe80::'));
}

function devicesOf(document: unknown): { readonly hostname: string; readonly addresses: readonly string[] }[] {
  assert.ok(typeof document === 'object' && document !== null && 'devices' in document);
  assert.ok(Array.isArray(document.devices));
  return document.devices as { hostname: string; addresses: string[] }[];
}

/** Longer than a device without all its facts is held back on a terminal, and less than is waited for them. */
const slowMs = 900;

/** Something that accepts connections where SSH would; on two devices an engine as well, one of them slow. */
async function startServices(device: NetworkedDevice): Promise<void> {
  const engine = `require('node:http').createServer((request, response) => {
    const answers = {
      '/info': { OperatingSystem: 'balenaOS 6.8.1', Architecture: 'aarch64' },
      '/version': { Version: '20.10.43' },
    };
    setTimeout(() => response.end(JSON.stringify(answers[request.url])), ${device.hostname === 'aaaaaa1' ? 0 : slowMs});
  }).listen(2375);`;
  const script = `
    ${['aaaaaa1', 'cccccc3'].includes(device.hostname) ? engine : ''}
    require('node:net').createServer((socket) => socket.on('error', () => {}).end('SSH-2.0-test\\r\\n')).listen(22222, () => console.log('ready'));
  `;
  const child = device.start(process.execPath, ['--eval', script]);
  if (child.stdout !== null) await once(child.stdout, 'data');
}
