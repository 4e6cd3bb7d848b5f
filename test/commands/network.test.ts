import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { runChecked } from '../../src/lib/platform/child-process.js';
import { partitionContent } from '../support/disk-content.js';
import { davit } from '../support/davit.js';
import { configureNetworks as configure, makeNetworkImage as makeImage } from '../support/network-image.js';

const wireguardKey = Buffer.alloc(32, 7).toString('base64');
const otherKey = Buffer.alloc(32, 250).toString('base64');

describe('network list', () => {
  it('tells what each network is, and why NetworkManager would pass over one', async (t) => {
    const image = await makeImage(t, {
      osVersion: '6.4.0',
      bootFiles: {
        'system-connections/notes': 'not a key file\n',
        'system-connections/home.config': '[connection]\ntype=wifi\n[wifi]\nssid=Home\n',
        'system-connections/br0': '[connection]\ntype=bridge\ninterface-name=br0\n',
      },
    });
    await configure(image, {
      office: { type: 'wifi', ssid: 'Zürich\u0007', key: 'abcdefgh', security: 'wpa3', hidden: true, priority: 5 },
      wired: { type: 'ethernet', interface: 'eth0', ipv4: { addresses: ['192.168.1.5/24'] } },
      lan0: { type: 'bridge', interface: 'lan0', ports: ['eth1', 'eth2'] },
      modem: { type: 'cellular', apn: 'internet' },
    });
    const { networks } = await image.davit('network', 'list', image.path);
    assert.ok(Array.isArray(networks));
    const rows = networks.map((one: Record<string, unknown>) => [one.name, one.type, one.description]);
    assert.deepEqual(rows, [
      ['balena-sample.ignore', 'wifi', '"My_Wifi_Ssid", WPA2, hidden'],
      ['br0', 'bridge', 'bridge'],
      ['home.config', 'wifi', '"Home", open'],
      ['lan0', 'bridge', 'lan0 of eth1, eth2'],
      ['modem', 'cellular', 'access point internet'],
      ['notes', null, 'not a NetworkManager key file'],
      ['office', 'wifi', 'SSID 5ac3bc7269636807 (hex), WPA3, hidden, priority 5'],
      ['wired', 'ethernet', '192.168.1.5/24, only on eth0'],
    ]);
    const one = (name: string) => networks.find((network: Record<string, unknown>) => network.name === name) as unknown;
    const said = (name: string) => JSON.stringify(one(name));
    assert.match(said('home.config'), /"ignoredBecause":"its name ends in a dot and six letters or digits"/);
    assert.match(said('lan0'), /"files":\["lan0","lan0-port-eth1","lan0-port-eth2"\]/);
    assert.match(said('office'), /needs WPA3, which balenaOS has since 6.5.50/);
    assert.match(said('br0'), /which the OS keeps NetworkManager away from/);
    const { stdout, stderr } = await davit(['network', 'list', image.path]);
    assert.match(stdout, /^NAME +TYPE +WHAT IT IS\n/);
    assert.match(stdout, /home\.config +wifi +ignored, because its name ends in a dot/);
    assert.match(stderr, /warning: system-connections\/notes is not a NetworkManager key file/);
  });

  it('says that there are none', async (t) => {
    const image = await makeImage(t, { bootFiles: { 'system-connections/balena-sample.ignore': null } });
    assert.deepEqual((await image.davit('network', 'list', image.path)).networks, []);
  });
});

describe('network list and network show', () => {
  it('look into packed images too, and into one of several in a zip', async (t) => {
    const image = await makeImage(t);
    await configure(image, { modem: { type: 'cellular', apn: 'internet' } });
    const folder = path.dirname(image.path);
    const other = path.join(folder, 'other.img');
    const zip = path.join(folder, 'two.zip');
    await runChecked('copying an image', 'cp', ['--sparse=always', image.path, other]);
    await runChecked('packing images', 'zip', ['-q', '-1', '-j', zip, image.path, other]);
    await runChecked('packing an image', 'gzip', ['-1', image.path]);
    await rename(`${image.path}.gz`, image.path);
    for (const words of [[image.path], [zip, '--entry', 'other.img']]) {
      const [file = '', ...more] = words;
      const listed = await image.davit('network', 'list', ...words);
      assert.deepEqual([listed.image, JSON.stringify(listed.networks).includes('"modem"')], [file, true]);
      const shown = await image.davit('network', 'show', file, 'modem', ...more);
      assert.deepEqual(shown.network, { type: 'cellular', apn: 'internet' });
      const read = await image.davit('config', 'read', file, 'persistentLogging', ...more);
      assert.equal(read.value, false);
    }
    const either = await davit(['network', 'list', zip]);
    assert.match(either.stderr, /--entry/);
    assert.equal(either.exitCode, 2);
  });
});

describe('network show', () => {
  it('prints a profile that asks for the secrets, and never shows one', async (t) => {
    const image = await makeImage(t);
    await configure(image, {
      tunnel: {
        ...{ type: 'wireguard', interface: 'wg0', privateKey: wireguardKey, ipv4: { addresses: ['10.9.0.2/32'] } },
        peers: [{ publicKey: otherKey, presharedKey: wireguardKey, allowedIps: ['10.9.0.0/24'] }],
      },
      odd: { type: 'wifi', ssid: 'a: "b" $${c} #d', key: 'my secret key' },
    });
    const tunnel = await davit(['network', 'show', image.path, 'tunnel']);
    const odd = await davit(['network', 'show', image.path, 'ODD']);
    assert.equal(odd.exitCode, 0, odd.stderr);
    const keyfile = await davit(['network', 'show', image.path, 'tunnel', '--keyfile']);
    assert.match(keyfile.stdout, /^\[connection\]\nid=tunnel\n/);
    assert.match(keyfile.stdout, /private-key=\(hidden\)/);
    const json = await davit(['network', 'show', image.path, 'odd', '--json']);
    for (const { stdout, stderr } of [tunnel, odd, keyfile, json]) {
      assert.ok(!`${stdout}${stderr}`.includes(wireguardKey) && !stdout.includes('my secret key'));
    }
    const profile = await image.file('shown.yaml', odd.stdout);
    const checked = await image.davit('profile', 'check', profile);
    assert.deepEqual([checked.networks, checked.questions], [['odd'], ['/networks/odd/key']]);
    const { network } = await image.davit('network', 'show', image.path, 'tunnel');
    assert.deepEqual(network, {
      ...{ type: 'wireguard', interface: 'wg0', ipv4: { addresses: ['10.9.0.2/32'] } },
      privateKey: { prompt: 'Private key of tunnel' },
      peers: [
        { publicKey: otherKey, allowedIps: ['10.9.0.0/24'], presharedKey: { prompt: 'Preshared key of tunnel' } },
      ],
    });
  });

  it('shows as settings what a profile has no words for', async (t) => {
    const vpn = '[connection]\ntype=vpn\n[vpn]\nservice-type=x\npassword=top secret\n[vpn-secrets]\nx=top secret\n';
    const zoned = '[connection]\ntype=ethernet\nzone=home\n';
    const image = await makeImage(t, {
      bootFiles: { 'system-connections/vpn': vpn, 'system-connections/zoned.nmconnection': zoned },
    });
    const shown = await image.davit('network', 'show', image.path, 'vpn');
    assert.equal(shown.network, null);
    assert.deepEqual(shown.settings, {
      connection: { type: 'vpn' },
      vpn: { 'service-type': 'x', password: '(hidden)' },
      'vpn-secrets': { x: '(hidden)' },
    });
    const { stdout } = await davit(['network', 'show', image.path, 'zoned.nmconnection']);
    assert.match(stdout, /^networks:\n {2}zoned:\n {4}type: ethernet\n# Settings .*\n# \[connection\]\n# zone=home\n$/);
    assert.equal((await image.refused('network', 'show', image.path, 'vnp')).code, 'network-not-found');
  });
});

describe('network remove', () => {
  it('takes a network out of the image itself, and leaves every other file as it was', async (t) => {
    const image = await makeImage(t);
    const before = await image.bootFiles();
    await configure(image, { office: { type: 'wifi', ssid: 'Office', key: 'abcdefgh' } });
    assert.ok((await image.connections()).includes('office'));
    const { files } = await image.davit('network', 'remove', image.path, 'Office');
    assert.deepEqual(files, [{ path: 'system-connections/office', action: 'remove', size: 245 }]);
    assert.deepEqual(await image.bootFiles(), before);
  });

  it('takes the ports of a bridge with it, and what else is named', async (t) => {
    const image = await makeImage(t, { table: 'mbr', fat: 32 });
    const before = await image.connections();
    await configure(image, {
      lan0: { type: 'bridge', interface: 'lan0', ports: ['eth1', 'eth2'] },
      bond0: { type: 'bond', interface: 'bond0', ports: ['eth3'], mode: 'active-backup' },
      wired: { type: 'ethernet' },
    });
    await image.davit('network', 'remove', image.path, 'lan0', 'wired');
    assert.deepEqual(await image.connections(), [...before, 'bond0', 'bond0-port-eth3'].sort());
  });

  it('only shows what it would do with --dry-run, and writes another image with --output', async (t) => {
    const image = await makeImage(t);
    await configure(image, { office: { type: 'ethernet' } });
    const before = await image.bootFiles();
    const planned = await image.davit('network', 'remove', image.path, 'office', '--dry-run');
    assert.equal(planned.isWritten, false);
    const output = path.join(image.folder, 'other.img');
    await image.davit('network', 'remove', image.path, 'office', '--output', output);
    assert.deepEqual(await image.bootFiles(), before);
    const other = await partitionContent(output, image.boot);
    assert.equal(Object.keys(other.files).length, Object.keys(before).length - 1);
  });

  it('says that a device keeps the copy that it has made', async (t) => {
    const image = await makeImage(t, { table: 'mbr' });
    await configure(image, { office: { type: 'ethernet' }, phone: { type: 'ethernet' } });
    const state = image.partitions.find((one) => one.label === 'resin-state');
    const [keyfile] = await image.contents(['office']);
    const copy = await image.file('office', keyfile?.content ?? '');
    const folders = ['/root-overlay', '/root-overlay/etc', '/root-overlay/etc/NetworkManager'];
    const target = '/root-overlay/etc/NetworkManager/system-connections';
    const script = [...[...folders, target].map((one) => `mkdir ${one}`), `write ${copy} ${target}/office`, ''];
    const commands = await image.file('script', script.join('\n'));
    await runChecked('booting', 'debugfs', ['-w', '-f', commands, `${image.path}?offset=${state?.start ?? 0}`]);
    const { warnings } = await image.davit('network', 'remove', image.path, 'office', 'phone');
    assert.ok(Array.isArray(warnings));
    const kept = warnings.filter((text) => String(text).includes('keeps its own copies'));
    assert.deepEqual(kept, [
      'the device has started from this already and keeps its own copies of office: remove them there with nmcli connection delete',
    ]);
  });

  it('names the network that a mistyped name is like', async (t) => {
    const image = await makeImage(t);
    await configure(image, { office: { type: 'ethernet' }, phone: { type: 'ethernet' } });
    const error = await image.refused('network', 'remove', image.path, 'phone', 'ofice');
    assert.equal(error.code, 'network-not-found');
    assert.equal(error.hint, 'Did you mean office? It has office, phone');
    assert.equal((await davit(['network', 'remove', image.path])).exitCode, 2);
  });
});

describe('a network that takes the place of another', () => {
  it('takes that of its ports too', async (t) => {
    const image = await makeImage(t);
    await configure(image, { lan0: { type: 'bridge', interface: 'lan0', ports: ['eth1', 'eth2'] } });
    await configure(image, { lan0: { type: 'bridge', interface: 'lan0', ports: ['eth1'] } });
    assert.ok(!(await image.connections()).includes('lan0-port-eth2'));
    assert.ok((await image.connections()).includes('lan0-port-eth1'));
  });
});
