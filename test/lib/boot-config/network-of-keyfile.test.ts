import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { ConnectionFile } from '../../../src/lib/boot-config/connection-file.js';
import { storedConnections } from '../../../src/lib/boot-config/connection-folder.js';
import type { Network } from '../../../src/lib/boot-config/network.js';
import { networkFiles } from '../../../src/lib/boot-config/network-files.js';
import { networkOfKeyfile, type ReadNetwork } from '../../../src/lib/boot-config/network-of-keyfile.js';
import { parseKeyfile } from '../../../src/lib/boot-config/keyfile.js';
import { rounds } from '../../support/campaign.js';
import { checked } from '../../support/loop-device.js';
import { networkManagerMissing, readAsNetworkManager } from '../../support/network-manager.js';
import { randomNetwork } from '../../support/random-network.js';
import { seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const wireguardKey = Buffer.alloc(32, 7).toString('base64');
const otherKey = Buffer.alloc(32, 250).toString('base64');

/** Networks of all kinds, with all that can be said about them. */
const networks: Readonly<Record<string, Network>> = {
  'a wire': { type: 'ethernet' },
  'a wire with everything': {
    ...{ type: 'ethernet', interface: 'eth0', mtu: 9000, mac: '02:00:5e:10:00:01', autoconnect: true, priority: -3 },
    ...{ hardwareAddress: '02:00:5e:10:00:02', metered: false },
    ipv4: {
      ...{ addresses: ['10.0.0.5/24', '10.0.1.5/32'], gateway: '10.0.0.1', dns: ['1.1.1.1'], search: ['~corp'] },
      routes: [
        { to: '10.1.0.0/16', via: '10.0.0.9', metric: 7 },
        { to: '10.2.0.0/16', metric: 8 },
        { to: '10.3.0.0/16' },
      ],
      ...{ metric: 2000, ignoreRoutes: true },
    },
    ipv6: {
      ...{ addresses: ['fd00::5/64'], gateway: 'fd00::1', dns: ['fd00::53'] },
      ...{ routes: [{ to: 'fd01::/48', metric: 3 }], privacy: 'temporary', ignoreDns: true },
    },
  },
  'a wire without a default route': {
    ...{ type: 'ethernet', ipv4: { method: 'auto', addresses: ['10.0.0.5/24'], default: false }, ipv6: 'disabled' },
  },
  'Wi-Fi': { type: 'wifi', ssid: 'Office', key: ' p;a#s=s\\word' },
  'Wi-Fi with everything': {
    ...{ type: 'wifi', ssid: 'Zürich; 12 ${HOME}', key: 'abcdefgh', hidden: true, bssid: '02:00:5e:10:00:01' },
    ...{ band: '5GHz', channel: 36, mac: 'random', mtu: 1400, powersave: false, autoconnect: false, metered: true },
  },
  'Wi-Fi whose name is not text': { type: 'wifi', ssidHex: 'ff00fe0a', security: 'open' },
  WPA3: { type: 'wifi', ssid: 'x', key: 'any', security: 'wpa3' },
  'an access point': { type: 'access-point', ssid: 'Setup', key: '12345678', band: '2.4GHz', channel: 6 },
  'an access point for WPA3': { type: 'access-point', ssid: 'Setup', key: '12345678', security: 'wpa3' },
  'an open access point': {
    ...{
      type: 'access-point',
      ssid: 'Setup',
      security: 'open',
      ipv4: { method: 'shared', addresses: ['10.42.7.1/24'] },
    },
  },
  'a modem': {
    ...{ type: 'cellular', apn: 'internet.example', user: 'a;b', password: ' s;3\\', pin: '0012', networkId: '26201' },
    ...{ roaming: false, number: '*99***1#', mtu: 1400 },
  },
  'a modem that knows itself': { type: 'cellular' },
  'a modem without a password': { type: 'cellular', apn: 'x', user: 'u' },
  'a VLAN': { type: 'vlan', id: 12, parent: 'eth0', interface: 'eth0.12', mtu: 1400 },
  'a bridge': { type: 'bridge', interface: 'lan0', ports: ['eth0', 'eth1.2'], stp: false, mac: 'stable' },
  'a bond': {
    ...{ type: 'bond', interface: 'bond0', ports: ['eth0', 'eth1'], mode: 'active-backup' },
    ...{ options: { miimon: '100', primary: 'eth1' }, ipv4: { addresses: ['10.0.0.5/24'] } },
  },
  WireGuard: {
    ...{ type: 'wireguard', interface: 'wg0', privateKey: wireguardKey, listenPort: 51_820, mtu: 1380 },
    peers: [
      {
        ...{ publicKey: otherKey, presharedKey: wireguardKey, endpoint: 'vpn.example.com:51820', keepalive: 25 },
        allowedIps: ['10.9.0.0/24', 'fd09::/64'],
      },
      { publicKey: wireguardKey, allowedIps: ['10.8.0.0/24'] },
    ],
    ...{ ipv4: { addresses: ['10.9.0.2/32'] }, ipv6: 'link-local' },
  },
};

/** A key file of a folder as data, as `network show` reads it. */
async function readBack(folder: readonly ConnectionFile[], name: string): Promise<ReadNetwork> {
  const stored = storedConnections(folder);
  const found = stored.find((one) => one.name === name);
  assert.ok(found);
  const ports = stored.filter(({ portOf }) => portOf === name).map(({ keyfile }) => keyfile);
  const fileBeside = (file: string) => folder.find((one) => one.name === file)?.content;
  return networkOfKeyfile(found.keyfile, { name, ports, fileBeside });
}

function plainRead(text: string): Promise<ReadNetwork> {
  return networkOfKeyfile(parseKeyfile(text, 'x'), { name: 'x', ports: [], fileBeside: () => undefined });
}

function settingsOf({ settings }: ReadNetwork): string[] {
  return [...settings].flatMap(([section, keys]) => [...keys].map(([key, value]) => `${section}.${key}=${value}`));
}

async function certificates(t: TestContext): Promise<string> {
  const folder = await temporaryFolder(t);
  const file = (name: string) => path.join(folder, name);
  await checked([
    ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '9'],
    ...['-subj', '/CN=device', '-keyout', file('key'), '-out', file('cert')],
  ]);
  return folder;
}

describe('a key file that davit wrote', () => {
  for (const [what, network] of Object.entries(networks)) {
    it(`is read back as the network that it is: ${what}`, async () => {
      const files = await networkFiles('test', network);
      const read = await readBack(files, 'test');
      assert.deepEqual(settingsOf(read), []);
      assert.ok(read.network);
      assert.deepEqual(await networkFiles('test', read.network), files);
      assert.deepEqual(read.network, network);
    });
  }

  it('is read back with the certificates beside it', async (t) => {
    const folder = await certificates(t);
    const enterprise = {
      method: 'tls',
      ...{ identity: 'device', domain: 'corp.example', anonymousIdentity: 'anonymous' },
      caCertificateFile: 'cert',
      ...{ clientCertificateFile: 'cert', privateKeyFile: 'key' },
    } as const;
    const inFolder = (name: string) => readFile(path.join(folder, name));
    for (const network of [
      { type: 'wifi', ssid: 'x', security: 'wpa3', enterprise },
      { type: 'ethernet', enterprise: { ...enterprise, method: 'ttls', password: 'p;w', innerMethod: 'pap' } },
    ] as const) {
      const files = await networkFiles('test', network, inFolder);
      const { network: read, settings } = await readBack(files, 'test');
      assert.deepEqual([...settings], []);
      assert.ok(read !== undefined && 'enterprise' in read && read.enterprise);
      assert.equal(read.enterprise.privateKeyFile, 'test-key.pem');
      const again = await networkFiles('test', read, (name) =>
        Promise.resolve(files.find((file) => file.name === name)?.content ?? Buffer.alloc(0)),
      );
      assert.deepEqual(again, files);
    }
  });

  it('is read back whatever is said about it', async () => {
    const random = seededRandom(17);
    for (let round = 0; round < rounds(2000, 50_000); round += 1) {
      const network = randomNetwork(random);
      const files = await networkFiles('test', network);
      const read = await readBack(files, 'test');
      assert.deepEqual(settingsOf(read), [], JSON.stringify(network));
      assert.ok(read.network, JSON.stringify(network));
      assert.deepEqual(await networkFiles('test', read.network), files);
    }
  });

  it('is taken by NetworkManager whatever is said about it', { skip: networkManagerMissing() }, async () => {
    const random = seededRandom(18);
    const networks = Array.from({ length: rounds(500, 10_000) }, () => randomNetwork(random));
    const files = await Promise.all(networks.map((network) => networkFiles('test', network)));
    const keyfiles = files.flatMap((list, index) => list.map((file) => ({ ...file, network: networks[index] })));
    for (const [index, { error, warnings }] of readAsNetworkManager(keyfiles).entries()) {
      const network = JSON.stringify(keyfiles[index]?.network);
      assert.equal(error, undefined, network);
      assert.deepEqual(warnings, [], network);
    }
  });

  it('is read back whatever its SSID and key are', async () => {
    const random = seededRandom(11);
    for (let round = 0; round < 500; round += 1) {
      const ssidHex = Buffer.from(Array.from({ length: 1 + random.below(32) }, () => random.below(256))).toString(
        'hex',
      );
      const key = Array.from({ length: 8 + random.below(56) }, () => String.fromCharCode(32 + random.below(95))).join(
        '',
      );
      const files = await networkFiles('test', { type: 'wifi', ssidHex, key });
      const { network } = await readBack(files, 'test');
      assert.ok(network);
      assert.deepEqual(await networkFiles('test', network), files);
    }
  });
});

describe('a key file of somebody else', () => {
  it('is a network, and what a profile has no words for stays a setting', async () => {
    const read = await plainRead(`
[connection]
id=My home
uuid=0c3f4f5b-8b2a-4d86-a1c5-4a3bb2f5a001
type=802-11-wireless
permissions=
timestamp=1700000000
zone=home

[802-11-wireless]
mode=infrastructure
ssid=72;111;109;101;
mac-address-blacklist=
security=802-11-wireless-security

[802-11-wireless-security]
auth-alg=open
key-mgmt=wpa-psk
psk=abcdefgh

[ipv4]
address1=192.168.1.5/24
gateway=192.168.1.1
dns=192.168.1.1
dns-search=
method=manual

[ipv6]
addr-gen-mode=eui64
method=auto

[proxy]
`);
    assert.deepEqual(read.network, {
      ...{ type: 'wifi', ssid: 'Home', key: 'abcdefgh' },
      ipv4: { addresses: ['192.168.1.5/24'], gateway: '192.168.1.1', dns: ['192.168.1.1'] },
    });
    assert.deepEqual(settingsOf(read), [
      ...['connection.id=My home', 'connection.uuid=0c3f4f5b-8b2a-4d86-a1c5-4a3bb2f5a001', 'connection.zone=home'],
      'ipv6.addr-gen-mode=eui64',
    ]);
  });

  // The samples of balena's own documentation.
  const samples: readonly (readonly [string, object, string])[] = [
    [
      '[connection]\ntype=wifi\n[wifi]\nhidden=true\nmode=infrastructure\nssid=Home\n[wifi-security]\nauth-alg=open\nkey-mgmt=wpa-psk\npsk=abcdefgh\n[ipv4]\nmethod=auto\n[ipv6]\naddr-gen-mode=stable-privacy\nmethod=auto',
      { type: 'wifi', ssid: 'Home', key: 'abcdefgh', hidden: true },
      '',
    ],
    [
      '[connection]\ntype=gsm\nautoconnect=true\n[gsm]\napn=internet\nnumber=*99#\npassword=p\nusername=u\n[serial]\nbaud=115200\n[ipv4]\nmethod=auto\n[ipv6]\nmethod=auto',
      { type: 'cellular', apn: 'internet', user: 'u', password: 'p', autoconnect: true },
      '',
    ],
    [
      '[connection]\ntype=wifi\nautoconnect=true\ninterface-name=wlan0\n[wifi]\nband=bg\nmode=ap\nssid=Spot\n[wifi-security]\nkey-mgmt=wpa-psk\nproto=rsn\npsk=abcdefgh\n[ipv4]\nmethod=shared',
      { type: 'access-point', ssid: 'Spot', key: 'abcdefgh', band: '2.4GHz', interface: 'wlan0', autoconnect: true },
      '',
    ],
    [
      '[connection]\ntype=ethernet\n[ethernet]\ncloned-mac-address=stable-ssid\nmtu=auto\n[ipv4]\nmethod=auto\nroute-metric=2000\nignore-auto-routes=true\nnever-default=true',
      { type: 'ethernet', ipv4: { method: 'auto', metric: 2000, default: false, ignoreRoutes: true } },
      'ethernet.cloned-mac-address=stable-ssid',
    ],
  ];
  for (const [text, network, unsaid] of samples) {
    it(`is read as ${JSON.stringify(network)}`, async () => {
      const read = await plainRead(text);
      assert.deepEqual(read.network, network);
      assert.deepEqual(settingsOf(read).join(), unsaid);
    });
  }

  it('stays a key file where a profile has no words for what it is', async () => {
    for (const text of [
      '[connection]\ntype=vpn\n[vpn]\nservice-type=x',
      '[connection]\ntype=wifi\n[wifi]\nmode=adhoc\nssid=x',
      '[connection]\ntype=wifi\n[wifi]\nssid=x\n[wifi-security]\nkey-mgmt=none\nwep-key0=abcde',
      '[connection]\ntype=wifi\n[wifi]\nssid=x\n[wifi-security]\nkey-mgmt=owe',
      '[connection]\ntype=wifi\n[wifi]\nssid=x\n[wifi-security]\nkey-mgmt=wpa-psk\npsk-flags=1',
      '[connection]\ntype=wifi\n[wifi]\nmode=ap\nssid=x\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=abcdefgh',
      '[connection]\ntype=wifi\n[wifi]\nssid=x\n[wifi-security]\nkey-mgmt=wpa-eap\n[802-1x]\neap=pwd;\nidentity=x\npassword=y',
      '[connection]\nid=x',
      '[connection]\ntype=constructor',
    ]) {
      const read = await plainRead(text);
      assert.equal(read.network, undefined, text);
      assert.deepEqual(read.settings, parseKeyfile(text, 'x'));
    }
  });
});
