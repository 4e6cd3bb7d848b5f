import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { runChecked } from '../../src/lib/platform/child-process.js';
import { davitJson } from '../support/davit.js';
import { pythonMissing } from '../support/programs.js';
import { createNetwork, networkSkipReason, type TestNetwork } from '../support/network-namespace.js';

describe('davit scan in networks that are not nice', { skip: networkSkipReason() }, () => {
  let network: TestNetwork;
  before(async () => {
    network = await createNetwork([
      { hostname: 'aaaaaa1' },
      { hostname: 'bbbbbb2', versions: 'ipv6' },
      { hostname: 'cccccc3', segment: 'crowded' },
      { hostname: 'crowd', segment: 'crowded', port: false },
    ]);
  });
  after(() => network.close());

  async function scan(words: readonly string[] = []) {
    const { document } = await davitJson(['scan', '--timeout', '4', ...words], { wrapper: network.wrapper });
    const { devices = [] } = document as { devices?: { hostname: string; addresses: string[]; openPorts: number[] }[] };
    return { names: devices.map((one) => one.hostname), devices };
  }

  /** Runs a script on the computer that shares a network with a device, for as long as the work takes. */
  async function meanwhile<T>(script: string, work: () => Promise<T>): Promise<T> {
    const child = network.devices[3]?.start(process.execPath, ['--eval', script]);
    if (child?.stdout == null) throw new Error('nothing was started');
    child.stderr?.pipe(process.stderr);
    await once(child.stdout, 'data');
    try {
      return await work();
    } finally {
      child.kill();
    }
  }

  const all = ['aaaaaa1.local', 'bbbbbb2.local', 'cccccc3.local'];

  it('finds the same with a default route, and with one through a VPN that carries no multicast', async () => {
    const host = async (...words: string[]) => {
      const { exitCode, stderr } = await network.run('ip', words);
      assert.equal(exitCode, 0, stderr);
    };
    await host('route', 'add', 'default', 'via', '10.77.0.2');
    assert.deepEqual((await scan()).names, all);
    await host('route', 'del', 'default');
    await host('link', 'add', 'vpn0', 'multicast', 'off', 'type', 'veth', 'peer', 'name', 'vpn1');
    await host('link', 'set', 'vpn1', 'up');
    await host('address', 'add', '10.99.0.1/32', 'dev', 'vpn0');
    await host('link', 'set', 'vpn0', 'up');
    await host('route', 'add', 'default', 'dev', 'vpn0');
    assert.deepEqual((await scan()).names, all);
    await host('link', 'del', 'vpn0');
  });

  const skip = existsSync('/dev/net/tun') ? pythonMissing : 'no tun devices on this machine';
  it('finds the same beside a point-to-point link of a VPN that is asked and never answers', { skip }, async () => {
    const [command, ...rest] = [...network.wrapper, 'python3', '-c', heldTunnel];
    const tunnel = spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await once(tunnel.stdout, 'data');
      const host = (...words: string[]) => network.run('ip', words);
      await host('address', 'add', '10.98.0.1', 'peer', '10.98.0.2', 'dev', 'tun0');
      await host('link', 'set', 'tun0', 'up');
      await host('route', 'add', 'default', 'via', '10.98.0.2');
      const { stdout } = await host('link', 'show', 'tun0');
      assert.match(stdout, /POINTOPOINT,MULTICAST,NOARP,UP,LOWER_UP/);
      assert.deepEqual((await scan()).names, all);
    } finally {
      tunnel.kill();
    }
  });

  it('reaches a device without DHCP, whether this computer has such an address too or not', async () => {
    const [device] = network.devices;
    assert.ok(device?.ipv4 !== undefined);
    const { namespace, ipv4 } = device;
    const change = (...words: string[]) => runChecked('changing an address', 'ip', ['-n', namespace, ...words]);
    const server = device.start(process.execPath, ['--eval', openPort]);
    assert.ok(server.stdout !== null);
    await once(server.stdout, 'data');
    await change('address', 'add', '169.254.7.7/16', 'dev', 'eth0');
    await change('address', 'del', `${ipv4}/24`, 'dev', 'eth0');
    try {
      const seen = async () => (await scan()).devices.find((one) => one.hostname === 'aaaaaa1.local');
      const apart = await seen();
      assert.match(String(apart?.addresses), /^fe80::[^,]*%lan0(,169\.254\.7\.7)?$/);
      assert.deepEqual(apart?.openPorts, [22222]);
      await network.run('ip', ['address', 'add', '169.254.7.1/16', 'dev', 'lan0']);
      const together = await seen();
      assert.match(String(together?.addresses), /^169\.254\.7\.7,fe80::[^,]*%lan0$/);
      assert.deepEqual(together?.openPorts, [22222]);
    } finally {
      await network.run('ip', ['address', 'del', '169.254.7.1/16', 'dev', 'lan0']);
      await change('address', 'add', `${ipv4}/24`, 'dev', 'eth0');
      await change('address', 'del', '169.254.7.7/16', 'dev', 'eth0');
      server.kill();
    }
  });

  it('hears nobody from beyond the link', async () => {
    // Somebody routed, as on a campus: the packets arrive, but not by multicast from the link.
    const { exitCode } = await network.run('sysctl', [
      '-qw',
      'net.ipv4.conf.all.rp_filter=0',
      'net.ipv4.conf.lan2.rp_filter=0',
    ]);
    assert.equal(exitCode, 0);
    const far = network.devices[3];
    await runChecked('adding an address', 'ip', [
      '-n',
      far?.namespace ?? '',
      'address',
      'add',
      '203.0.113.9/32',
      'dev',
      'lo',
    ]);
    await meanwhile(distant, async () => {
      const { names } = await scan();
      assert.deepEqual(names, all);
    });
  });

  it('finds the device among hundreds of other computers with SSH', async () => {
    await meanwhile(crowd, async () => {
      const { names } = await scan();
      assert.deepEqual(names, all);
    });
  });

  it('asks again, twice if need be, and for everything that was left out', async () => {
    await meanwhile(reluctant, async () => {
      const { devices } = await scan(['--interface', 'lan2']);
      const found = devices.find(({ hostname }) => hostname === 'dddddd4.local');
      assert.deepEqual(found?.addresses, ['10.77.2.250']);
    });
  });

  it('takes plain SSH on the port of devices for one', async () => {
    await meanwhile(reluctant.replace("'_resin-device._sub._ssh._tcp.local'", "'_ssh._tcp.local'"), async () => {
      const { names } = await scan(['--interface', 'lan2']);
      assert.ok(names.includes('dddddd4.local'), names.join());
    });
  });

  it('survives damaged and hostile packets, and believes none of what cannot be', async () => {
    await meanwhile(hostile, async () => {
      const { devices, names } = await scan();
      assert.deepEqual(
        all.filter((name) => !names.includes(name)),
        [],
      );
      const text = JSON.stringify(devices);
      for (const bad of ['\\u001b', 'evil']) assert.ok(!text.includes(bad), `${bad} in ${text}`);
      const addresses = devices.flatMap((one) => one.addresses);
      for (const bad of ['127.0.0.1', '224.0.0.251', '0.0.0.0', '::1', 'ff02::fb']) {
        assert.ok(!addresses.includes(bad), `${bad} in ${text}`);
      }
    });
  });
});

/** Makes a link of the kind that VPNs have, on whose other side everything is thrown away. */
const heldTunnel = `
import fcntl, os, struct
tunnel = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(tunnel, 0x400454CA, struct.pack('16sH', b'tun0', 0x1001))
print('ready', flush=True)
while True: os.read(tunnel, 2000)
`;

/** Accepts connections on the port of devices. */
const openPort = `
  require('node:net').createServer((socket) => socket.on('error', () => undefined)).listen(22222, () => console.log('ready'));
`;

/** Announces a device over and over, from an address of another network, to the computer's own port 5353. */
const distant = `
  const packet = require('dns-packet');
  const socket = require('node:dgram').createSocket({ type: 'udp4', reuseAddr: true });
  const answers = [
    { name: '_resin-device._sub._ssh._tcp.local', type: 'PTR', ttl: 120, data: 'far._ssh._tcp.local' },
    { name: 'far._ssh._tcp.local', type: 'SRV', ttl: 120, data: { target: 'far.local', port: 22222 } },
    { name: 'far.local', type: 'A', ttl: 120, data: '203.0.113.9' },
  ];
  const message = packet.encode({ type: 'response', flags: 1 << 10, answers });
  socket.bind(5353, '203.0.113.9', () => {
    setInterval(() => socket.send(message, 5353, '10.77.2.1'), 50);
    console.log('ready');
  });
`;

/** Announces 400 computers with SSH on port 22. */
const crowd = `
  const mdns = require('multicast-dns')({ interface: '10.77.2.5', bind: '0.0.0.0' });
  mdns.on('query', ({ questions }) => {
    if (!questions.some(({ name, type }) => type === 'PTR' && name === '_ssh._tcp.local')) return;
    for (let from = 0; from < 400; from += 10) {
      const numbers = Array.from({ length: 10 }, (_, index) => from + index);
      mdns.respond({
        answers: numbers.map((n) => ({ name: '_ssh._tcp.local', type: 'PTR', ttl: 120, data: 'pc' + n + '._ssh._tcp.local' })),
        additionals: numbers.flatMap((n) => [
          // A tenth of them leaves the rest to be asked for.
          ...(n % 10 === 0 ? [] : [{ name: 'pc' + n + '._ssh._tcp.local', type: 'SRV', ttl: 120, data: { target: 'pc' + n + '.local', port: 22 } }]),
          { name: 'pc' + n + '.local', type: 'A', ttl: 120, data: '10.77.2.' + (6 + (n % 200)) },
        ]),
      });
    }
  });
  mdns.on('ready', () => console.log('ready'));
`;

/** Answers only what it is asked for the second time, with nothing but that. */
const reluctant = `
  const mdns = require('multicast-dns')({ interface: '10.77.2.5', bind: '0.0.0.0' });
  const records = [
    { name: '_resin-device._sub._ssh._tcp.local', type: 'PTR', data: 'dddddd4._ssh._tcp.local' },
    { name: 'dddddd4._ssh._tcp.local', type: 'SRV', data: { target: 'dddddd4.local', port: 22222 } },
    { name: 'dddddd4.local', type: 'A', data: '10.77.2.250' },
  ];
  const heard = new Map();
  mdns.on('query', ({ questions }) => {
    for (const { name, type } of questions) {
      const record = records.find((one) => one.name === name && one.type === type);
      if (record === undefined) continue;
      // What comes from both sockets of one asker at one moment is one question.
      const { count = 0, at = 0 } = heard.get(name) ?? {};
      const isNew = Date.now() - at > 500;
      heard.set(name, { count: count + (isNew ? 1 : 0), at: isNew ? Date.now() : at });
      if (type !== 'PTR' || heard.get(name).count >= 2) mdns.respond([{ ttl: 120, ...record }]);
    }
  });
  mdns.on('ready', () => console.log('ready'));
`;

/** Answers every question with what nobody should send. */
const hostile = `
  const packet = require('dns-packet');
  const socket = require('node:dgram').createSocket({ type: 'udp4', reuseAddr: true });
  const service = '_resin-device._sub._ssh._tcp.local';
  const response = (answers) => packet.encode({ type: 'response', flags: 1 << 10, answers });
  const announced = (instance, target, port, addresses) => response([
    { name: service, type: 'PTR', ttl: 120, data: instance },
    { name: instance, type: 'SRV', ttl: 120, data: { target, port } },
    ...addresses.map((data) => ({ name: target, type: data.includes(':') ? 'AAAA' : 'A', ttl: 120, data })),
  ]);
  const head = Buffer.from([0, 0, 0x84, 0, 0, 0, 0, 9, 0, 0, 0, 0]);
  const whole = announced('x._ssh._tcp.local', 'x.local', 22222, ['127.0.0.1']);
  const huge = 'a'.repeat(63) + '.' + 'b'.repeat(63) + '.' + 'c'.repeat(63) + '._ssh._tcp.local';
  const packets = [
    Buffer.alloc(0),
    Buffer.from([0]),
    // A name that points at itself, two that point at each other, and one that points past the end.
    Buffer.concat([head, Buffer.from([0xc0, 12, 0, 12, 0, 1])]),
    Buffer.concat([head, Buffer.from([0xc0, 14, 0xc0, 12, 0, 12, 0, 1])]),
    Buffer.concat([head, Buffer.from([0xff, 0xff, 0, 12, 0, 1])]),
    Buffer.concat([head, Buffer.alloc(8000, 0x3f)]),
    ...Array.from({ length: whole.length }, (_, end) => whole.subarray(0, end)),
    announced('evil1._ssh._tcp.local', 'evil1.local', 22222, ['127.0.0.1', '224.0.0.251', '0.0.0.0', '::1', 'ff02::fb']),
    announced('evil2._ssh._tcp.local', 'evil2\\u001b[2J.local', 22222, ['10.77.2.9']),
    announced('evil3._ssh._tcp.local', 'evil3.local', 0, ['10.77.2.9']),
    announced(huge, huge, 22222, ['10.77.2.9']),
    announced('cccccc3._ssh._tcp.local', 'cccccc3.local', 22222, ['127.0.0.1']),
    response(Array.from({ length: 200 }, (_, n) => ({ name: service, type: 'PTR', ttl: 120, data: 'e' + n + '._ssh._tcp.local' }))),
    response(Array.from({ length: 200 }, (_, n) => ({ name: 'cccccc3.local', type: 'A', ttl: 120, data: '127.0.0.' + n }))),
  ];
  socket.on('message', (message, from) => {
    if ((message[2] & 0x80) !== 0 || from.address === '10.77.2.5') return;
    for (const one of packets) {
      socket.send(one, 5353, '224.0.0.251');
      socket.send(one, from.port, from.address);
    }
  });
  socket.bind(5353, () => {
    socket.addMembership('224.0.0.251', '10.77.2.5');
    socket.setMulticastInterface('10.77.2.5');
    console.log('ready');
  });
`;
