import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { connectionValue } from '../../../src/lib/boot-config/connection-file.js';
import { escapeKeyfileValue, parseKeyfile, unescapeKeyfileValue } from '../../../src/lib/boot-config/keyfile.js';
import { type Network, networkDataShape, networkNameShape } from '../../../src/lib/boot-config/network.js';
import { connectionUuid, networkFiles } from '../../../src/lib/boot-config/network-files.js';
import { isWifiKey, readSsidValue, ssidValue } from '../../../src/lib/boot-config/wifi-values.js';
import { pointerTo } from '../../../src/lib/boot-config/problem.js';
import { fits } from '../../../src/lib/boot-config/shape.js';
import { Failure } from '../../../src/lib/failure/failure.js';
import { rounds } from '../../support/campaign.js';
import { networkManagerMissing, readAsNetworkManager } from '../../support/network-manager.js';
import { seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const skip = networkManagerMissing();
const wireguardKey = Buffer.alloc(32, 7).toString('base64');
const otherKey = Buffer.alloc(32, 250).toString('base64');

/** What NetworkManager understands of the one key file that a network becomes. */
async function understood(network: Network) {
  assert.deepEqual(networkDataShape.problems(network, []), []);
  const files = await networkFiles('test', network);
  const [first, ...others] = readAsNetworkManager(files);
  assert.equal(first?.error, undefined);
  // The certificates will be there on a device.
  assert.deepEqual(
    first?.warnings?.filter((warning) => !warning.includes('does not exist')),
    [],
  );
  return { settings: first.settings ?? {}, others };
}

describe('a network as a key file', () => {
  test('is spelled as NetworkManager spells it', async () => {
    const [file] = await networkFiles('resin-wifi', {
      type: 'wifi',
      ssid: 'Office',
      key: ' p;a#s=s\\word',
      hidden: true,
    });
    assert.equal(
      String(file?.content),
      [
        `[connection]\nid=resin-wifi\nuuid=${connectionUuid('resin-wifi')}\ntype=wifi\n`,
        '[wifi]\nhidden=true\nmode=infrastructure\nssid=Office\n',
        '[wifi-security]\nauth-alg=open\nkey-mgmt=wpa-psk\npsk=\\sp;a#s=s\\\\word\n',
        '[ipv4]\nmethod=auto\n',
        '[ipv6]\naddr-gen-mode=stable-privacy\nmethod=auto\n',
      ].join('\n'),
    );
  });

  test('is the same connection for the same name, and another for another', () => {
    assert.equal(connectionUuid('office'), connectionUuid('office'));
    assert.notEqual(connectionUuid('office'), connectionUuid('Office'));
    assert.match(connectionUuid('x'), /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  // What nmcli 1.42 wrote for the same SSIDs.
  const spellings: readonly (readonly [string, string])[] = [
    ['a\\b c', 'a\\b c'],
    [' lead', ' lead'],
    ['$HOME `x` "q"', '$HOME `x` "q"'],
    ['[x]', '[x]'],
    ['#x', '#x'],
    ['Zürich', '90;195;188;114;105;99;104;'],
    ['\ttab', '9;116;97;98;'],
    ['72;105;', '55;50;59;49;48;53;59;'],
    ['12', '49;50;'],
  ];
  for (const [ssid, value] of spellings) {
    test(`spells the SSID ${JSON.stringify(ssid)} so that it is read back`, () => {
      assert.equal(ssidValue(Buffer.from(ssid)), value);
      assert.equal(String(readSsidValue(value)), ssid);
    });
  }

  test('gives back any text through its own reader', () => {
    const random = seededRandom(3);
    const letters = Array.from(' \t\\;=#[]"\'$`asntr0123ü日😀');
    for (let round = 0; round < 2000; round += 1) {
      const value = Array.from({ length: 1 + random.below(8) }, () => random.pick(letters)).join('');
      assert.equal(unescapeKeyfileValue(escapeKeyfileValue(value)), value);
      const keyfile = parseKeyfile(`[s]\nk=${escapeKeyfileValue(value)}\n`, 'x');
      assert.equal(unescapeKeyfileValue(keyfile.get('s')?.get('k') ?? ''), value);
      assert.equal(String(readSsidValue(ssidValue(Buffer.from(value)))), value);
    }
  });

  test('takes keys of 8 to 63 printable characters or 64 hexadecimal digits, and no others', () => {
    for (const good of ['12345678', 'x'.repeat(63), 'aF'.repeat(32), '    ~~~~']) assert.ok(isWifiKey(good), good);
    for (const bad of ['', '1234567', 'x'.repeat(64), 'pässword', 'tab\tinside', 'aG'.repeat(32), 'line\nbreak']) {
      assert.ok(!isWifiKey(bad), bad);
      assert.ok(!fits(networkDataShape, { type: 'wifi', ssid: 'x', key: bad }), bad);
    }
  });

  test('takes SSIDs of 1 to 32 bytes, counted in UTF-8', () => {
    for (const good of ['x', 'x'.repeat(32), 'é'.repeat(16)]) {
      assert.ok(fits(networkDataShape, { type: 'wifi', ssid: good, security: 'open' }), good);
    }
    for (const bad of ['', 'x'.repeat(33), 'é'.repeat(17)]) {
      assert.ok(!fits(networkDataShape, { type: 'wifi', ssid: bad, security: 'open' }), bad);
    }
  });
});

describe('NetworkManager understands', { skip }, () => {
  test('any SSID and any key exactly as they are meant', async () => {
    const count = rounds(2000, 10_000);
    const random = seededRandom(5);
    const nasty = Buffer.from(' \t\\;=#[]"\'$`0123456789;snrt,%{}');
    const wanted: { ssid: string; key: string }[] = [];
    const files = [];
    for (let round = 0; round < count; round += 1) {
      const from = round % 3;
      const byte = () => (from === 0 ? random.below(256) : (nasty[random.below(nasty.length)] ?? 0));
      const ssid = Buffer.from(Array.from({ length: 1 + random.below(32) }, byte)).toString('hex');
      const printable = () => (from === 1 ? 32 + random.below(95) : (nasty[random.below(nasty.length)] ?? 0));
      const length = 8 + random.below(56);
      const key =
        round % 7 === 0
          ? Array.from({ length: 64 }, () => '0123456789abcdefABCDEF'[random.below(22)]).join('')
          : Buffer.from(Array.from({ length }, printable)).toString('latin1').replaceAll('\t', ' ');
      const network = { type: 'wifi', ssidHex: ssid, key } as const;
      assert.deepEqual(networkDataShape.problems(network, []), [], JSON.stringify(network));
      wanted.push({ ssid, key });
      files.push(...(await networkFiles('test', network)));
    }
    const read = readAsNetworkManager(files).map(({ settings, error, warnings }) => ({
      ssid: settings?.['802-11-wireless']?.ssid ?? error ?? warnings,
      key: settings?.['802-11-wireless-security']?.psk,
    }));
    assert.deepEqual(read, wanted);
    const own = files.map((file) => {
      const keyfile = parseKeyfile(String(file.content), 'x');
      return readSsidValue(unescapeKeyfileValue(connectionValue(keyfile, 'wifi', 'ssid') ?? '')).toString('hex');
    });
    assert.deepEqual(
      own,
      wanted.map(({ ssid }) => ssid),
      'davit reads what it wrote as NetworkManager does',
    );
  });

  test('any user name and password of an enterprise network', async () => {
    const random = seededRandom(6);
    const letters = Array.from(' \t\\;=#[]"\'$`asntr0123ü日😀,%');
    const word = () => Array.from({ length: 1 + random.below(20) }, () => random.pick(letters)).join('');
    const wanted = Array.from({ length: 300 }, () => ({ identity: word(), password: word() }));
    const files = [];
    for (const login of wanted) {
      const enterprise = { method: 'ttls', ...login } as const;
      files.push(...(await networkFiles('test', { type: 'wifi', ssid: 'Corp', enterprise })));
    }
    const read = readAsNetworkManager(files).map(({ settings }) => settings?.['802-1x']);
    assert.deepEqual(
      read.map((one) => ({ identity: one?.identity, password: one?.password })),
      wanted,
    );
  });

  test('an open network, WPA3, and how the radio is used', async () => {
    const open = await understood({ type: 'wifi', ssid: 'Guests', security: 'open' });
    assert.equal(open.settings['802-11-wireless-security'], undefined);
    const { settings } = await understood({
      ...{ type: 'wifi', ssid: 'Home', key: 'x', security: 'wpa3', hidden: true, band: '5GHz', channel: 36 },
      ...{ bssid: '02:00:5E:10:00:01', mac: 'random', powersave: false, mtu: 1400 },
      ...{ interface: 'wlan0', autoconnect: false, priority: -5, metered: true },
    });
    const { 'assigned-mac-address': mac, ...wifi } = settings['802-11-wireless'] ?? {};
    assert.equal(mac, 'random');
    assert.deepEqual(
      [wifi.ssid, wifi.band, wifi.channel, wifi.hidden, wifi.mtu, wifi.powersave, wifi.bssid],
      [Buffer.from('Home').toString('hex'), ...['a', 36, true, 1400, 2, '02005e100001']],
    );
    assert.deepEqual(
      [settings['802-11-wireless-security']?.['key-mgmt'], settings['802-11-wireless-security']?.psk],
      ['sae', 'x'],
    );
    const { connection } = settings;
    assert.deepEqual(
      [
        connection?.['interface-name'],
        connection?.autoconnect,
        connection?.['autoconnect-priority'],
        connection?.metered,
      ],
      ['wlan0', false, -5, 1],
    );
  });

  test('enterprise networks with the certificates that are carried along', async (t) => {
    const folder = await temporaryFolder(t);
    const file = (name: string) => path.join(folder, name);
    const openssl = (...words: string[]) => {
      const { status, stderr } = spawnSync('openssl', words, { cwd: folder, encoding: 'utf8' });
      assert.equal(status, 0, stderr);
    };
    openssl(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/CN=a',
      '-keyout',
      'key',
      '-out',
      'cert',
    );
    openssl('pkcs8', '-topk8', '-in', 'key', '-out', 'locked', '-passout', 'pass:s3;cret\\');
    openssl('pkcs12', '-export', '-in', 'cert', '-inkey', 'key', '-out', 'p12', '-passout', 'pass:s3cret');
    openssl('x509', '-in', 'cert', '-outform', 'der', '-out', 'der');

    const peap = await understood({
      ...{ type: 'wifi', ssid: 'Corp', security: 'wpa3' },
      enterprise: {
        ...{
          method: 'peap',
          identity: 'me',
          password: 's3cret',
          anonymousIdentity: 'anonymous',
          domain: 'example.com',
        },
        caCertificateFile: file('der'),
      },
    });
    assert.equal(peap.settings['802-11-wireless-security']?.['key-mgmt'], 'wpa-eap');
    assert.equal(peap.settings['802-11-wireless-security'].pmf, 3);
    const { '802-1x': login } = peap.settings;
    assert.deepEqual(login?.eap, ['peap']);
    assert.deepEqual([login['phase2-auth'], login['domain-suffix-match']], ['mschapv2', 'example.com']);
    const pathValue = (name: string) => Buffer.from(`file:///mnt/boot/system-connections/${name}\0`).toString('hex');
    assert.equal(login['ca-cert'], pathValue('test-ca.der'));

    const tls: Network = {
      ...{ type: 'wifi', ssid: 'Corp', security: 'wpa3-192' },
      enterprise: {
        ...{ method: 'tls', identity: 'me', caCertificateFile: file('cert'), clientCertificateFile: file('cert') },
        ...{ privateKeyFile: file('locked'), privateKeyPassword: 's3;cret\\' },
      },
    };
    const { settings } = await understood(tls);
    assert.equal(settings['802-11-wireless-security']?.['key-mgmt'], 'wpa-eap-suite-b-192');
    assert.equal(settings['802-1x']?.['private-key'], pathValue('test-key.pem'));
    assert.equal(settings['802-1x']['client-cert'], pathValue('test-client.pem'));
    assert.equal(settings['802-1x']['private-key-password'], 's3;cret\\');
    const files = await networkFiles('test', tls);
    assert.deepEqual(
      files.map(({ name }) => name),
      ['test', 'test-ca.pem', 'test-client.pem', 'test-key.pem'],
    );
    assert.deepEqual(files[3]?.content, await readFile(file('locked')));

    const open = {
      method: 'tls',
      identity: 'me',
      clientCertificateFile: file('p12'),
      privateKeyFile: file('p12'),
    } as const;
    const bundle = await networkFiles('x', { type: 'ethernet', enterprise: { ...open, privateKeyPassword: 's3cret' } });
    assert.deepEqual(
      bundle.map(({ name }) => name),
      ['x', 'x-client.der', 'x-key.der'],
    );
    const wired = await understood({
      type: 'ethernet',
      enterprise: { ...open, clientCertificateFile: file('cert'), privateKeyFile: file('key') },
    });
    assert.equal(wired.settings['802-1x']?.['private-key-password-flags'], 4);

    openssl('genpkey', '-algorithm', 'ed25519', '-out', 'other');
    for (const [enterprise, name] of [
      [{ ...open, clientCertificateFile: file('cert'), privateKeyFile: file('other') }, 'other'],
      [{ ...open, clientCertificateFile: file('key'), privateKeyFile: file('key') }, 'key'],
      [{ ...open, clientCertificateFile: file('cert'), privateKeyFile: file('cert') }, 'cert'],
      [
        { ...open, clientCertificateFile: file('cert'), privateKeyFile: file('locked'), privateKeyPassword: 'wr0ng' },
        'locked',
      ],
      [{ ...open, clientCertificateFile: file('absent') }, 'absent'],
    ] as const) {
      await assert.rejects(
        networkFiles('x', { type: 'ethernet', enterprise }),
        (error: unknown) =>
          error instanceof Failure && error.message.includes(file(name)) && !error.message.includes('wr0ng'),
      );
    }
  });

  test('addresses, name servers and routes', async () => {
    const { settings } = await understood({
      ...{ type: 'ethernet', interface: 'eth0', mtu: 9000, mac: '02:00:5e:10:00:01' },
      ipv4: {
        ...{
          addresses: ['10.0.0.5/24', '10.0.1.5/32'],
          gateway: '10.0.0.1',
          dns: ['1.1.1.1', '9.9.9.9'],
          search: ['example.com', '~corp'],
        },
        routes: [
          { to: '10.1.0.0/16', via: '10.0.0.9', metric: 7 },
          { to: '10.2.0.0/16', metric: 8 },
          { to: '10.3.0.0/16' },
        ],
        ...{ metric: 2000, ignoreRoutes: true },
      },
      ipv6: {
        ...{
          addresses: ['fd00::5/64'],
          dns: ['fd00::53'],
          routes: [{ to: 'fd01::/48', metric: 3 }],
        },
        ...{ privacy: 'temporary', ignoreDns: true, default: false },
      },
    });
    const { ipv4, ipv6 } = settings;
    assert.equal(settings['802-3-ethernet']?.mtu, 9000);
    assert.equal(ipv4?.method, 'manual');
    assert.deepEqual(ipv4['address-data'], [
      { address: '10.0.0.5', prefix: 24 },
      { address: '10.0.1.5', prefix: 32 },
    ]);
    assert.equal(ipv4.gateway, '10.0.0.1');
    assert.deepEqual(ipv4['dns-search'], ['example.com', '~corp']);
    assert.deepEqual(ipv4['route-data'], [
      { dest: '10.1.0.0', prefix: 16, 'next-hop': '10.0.0.9', metric: 7 },
      { dest: '10.2.0.0', prefix: 16, metric: 8 },
      { dest: '10.3.0.0', prefix: 16 },
    ]);
    assert.deepEqual([ipv4['route-metric'], ipv4['ignore-auto-routes']], [2000, true]);
    assert.equal(ipv6?.method, 'manual');
    assert.deepEqual(ipv6['address-data'], [{ address: 'fd00::5', prefix: 64 }]);
    assert.deepEqual(ipv6['route-data'], [{ dest: 'fd01::', prefix: 48, metric: 3 }]);
    assert.deepEqual([ipv6['ip6-privacy'], ipv6['ignore-auto-dns'], ipv6['never-default']], [2, true, true]);
    for (const method of ['auto', 'disabled', 'shared', 'link-local'] as const) {
      const one = await understood({ type: 'ethernet', ipv4: method, ipv6: method });
      assert.deepEqual([one.settings.ipv4?.method, one.settings.ipv6?.method], [method, method]);
    }
  });

  test('an access point that shares its connection', async () => {
    const { settings } = await understood({
      ...{ type: 'access-point', ssid: 'Setup', key: '12345678', band: '2.4GHz', channel: 6, interface: 'wlan0' },
      ipv4: { method: 'shared', addresses: ['192.168.42.1/24'] },
    });
    assert.equal(settings['802-11-wireless']?.mode, 'ap');
    assert.equal(settings['802-11-wireless'].band, 'bg');
    assert.deepEqual(settings['802-11-wireless-security']?.proto, ['rsn']);
    assert.equal(settings.ipv4?.method, 'shared');
    const plain = await understood({ type: 'access-point', ssid: 'Open', security: 'open' });
    assert.equal(plain.settings.ipv4?.method, 'shared');
  });

  test('a modem', async () => {
    const { settings } = await understood({
      ...{
        type: 'cellular',
        apn: 'internet.example',
        user: 'a;b',
        password: ' s;3\\',
        pin: '0012',
        networkId: '26201',
      },
      ...{ roaming: false, priority: -1 },
    });
    const { gsm } = settings;
    assert.deepEqual(
      [gsm?.apn, gsm?.username, gsm?.password, gsm?.pin, gsm?.['network-id'], gsm?.['home-only'], gsm?.number],
      ['internet.example', 'a;b', ' s;3\\', '0012', '26201', true, '*99#'],
    );
    assert.equal((await understood({ type: 'cellular' })).settings.gsm?.['auto-config'], true);
    const withoutPassword = await understood({ type: 'cellular', apn: 'x_y', user: 'u' });
    assert.equal(withoutPassword.settings.gsm?.['password-flags'], 4, 'nobody is there to be asked for one');
  });

  test('a VLAN, a bridge and a bond with their ports', async () => {
    const vlan = await understood({ type: 'vlan', id: 12, parent: 'eth0', interface: 'eth0.12', mtu: 1400 });
    assert.equal(vlan.settings.vlan?.id, 12);
    assert.equal(vlan.settings.vlan.parent, 'eth0');
    assert.equal((await understood({ type: 'vlan', id: 12, parent: 'eth0' })).settings.vlan?.id, 12);

    const bridge = await understood({ type: 'bridge', interface: 'lan0', ports: ['eth0', 'eth1.2'], stp: false });
    assert.equal(bridge.settings.bridge?.['interface-name'] ?? bridge.settings.connection?.['interface-name'], 'lan0');
    assert.equal(bridge.settings.bridge?.stp, false);
    assert.deepEqual(
      bridge.others
        .map(({ settings }) => settings?.connection)
        .map((one) => [one?.['interface-name'], one?.master, one?.['slave-type']]),
      ['eth0', 'eth1.2'].map((port) => [port, connectionUuid('test'), 'bridge']),
    );

    const bond = await understood({
      ...{ type: 'bond', interface: 'bond0', ports: ['eth0', 'eth1'], mode: 'active-backup' },
      ...{ options: { miimon: '100', primary: 'eth1' }, ipv4: { addresses: ['10.0.0.5/24'] } },
    });
    assert.deepEqual(bond.settings.bond?.options, { mode: 'active-backup', miimon: '100', primary: 'eth1' });
    assert.equal(bond.others.length, 2);
  });

  test('WireGuard', async () => {
    const { settings } = await understood({
      ...{ type: 'wireguard', interface: 'wg0', privateKey: wireguardKey, listenPort: 51_820, mtu: 1380 },
      peers: [
        {
          ...{ publicKey: otherKey, presharedKey: wireguardKey, endpoint: 'vpn.example.com:51820', keepalive: 25 },
          allowedIps: ['10.9.0.0/24', 'fd09::/64'],
        },
      ],
      ipv4: { addresses: ['10.9.0.2/32'] },
    });
    assert.equal(settings.wireguard?.['private-key'], wireguardKey);
    assert.equal(settings.wireguard['listen-port'], 51_820);
    assert.deepEqual(settings.wireguard.peers, [
      {
        ...{ 'public-key': otherKey, 'preshared-key': wireguardKey, endpoint: 'vpn.example.com:51820' },
        ...{ 'persistent-keepalive': 25, 'preshared-key-flags': 0, 'allowed-ips': ['10.9.0.0/24', 'fd09::/64'] },
      },
    ]);
    assert.equal(settings.ipv4?.method, 'manual');
    assert.equal(settings.ipv6?.method, 'disabled');
  });
});

describe('network data that NetworkManager drops the connection for', () => {
  const wifi = { type: 'wifi', ssid: 'x', key: '12345678' } as const;
  const peer = { publicKey: otherKey, allowedIps: ['10.0.0.0/8'] } as const;
  const tunnel = { type: 'wireguard', interface: 'wg0', privateKey: wireguardKey, peers: [peer] } as const;
  const unused = (['disabled', 'link-local'] as const).flatMap((method): [string, Network][] => [
    ['/ipv4/dns', { type: 'ethernet', ipv4: { method, dns: ['1.1.1.1'] } }],
    ['/ipv4/search', { type: 'ethernet', ipv4: { method, search: ['example.com'] } }],
    ['/ipv4/addresses', { type: 'ethernet', ipv4: { method, addresses: ['10.0.0.1/24'] } }],
    ['/ipv6/dns', { type: 'ethernet', ipv6: { method, dns: ['fd00::1'] } }],
    ['/ipv6/search', { type: 'ethernet', ipv6: { method, search: ['example.com'] } }],
  ]);
  const bad: readonly (readonly [string, Network])[] = [
    ...unused,
    ['/ipv4/dns', { type: 'access-point', ssid: 'x', security: 'open', ipv4: { method: 'shared', dns: ['1.1.1.1'] } }],
    ['/ipv6/addresses/0', { type: 'ethernet', ipv6: { addresses: ['fe80::1%eth0/64'] } }],
    ['/ipv6/gateway', { type: 'ethernet', ipv6: { addresses: ['fd00::1/64'], gateway: 'fe80::1%eth0' } }],
    ['/channel', { ...wifi, band: '2.4GHz', channel: 36 }],
    ['/channel', { ...wifi, band: '5GHz', channel: 6 }],
    ['/channel', { ...wifi, band: '5GHz', channel: 37 }],
    ['/user', { type: 'cellular', apn: 'x', user: '' }],
    [
      '/enterprise/identity',
      { type: 'ethernet', enterprise: { method: 'peap', identity: '', password: 'x', innerMethod: 'mschapv2' } },
    ],
    ...['all', 'default', 'bonding_masters', 'a%b', 'é'.repeat(8)].map((name): [string, Network] => [
      '/interface',
      { type: 'ethernet', interface: name },
    ]),
    ...(['auto', 'shared', 'link-local'] as const).map((ipv4): [string, Network] => ['/ipv4', { ...tunnel, ipv4 }]),
    ...(['auto', 'shared', 'dhcp'] as const).map((ipv6): [string, Network] => ['/ipv6', { ...tunnel, ipv6 }]),
    ['/ipv4', { ...tunnel, ipv4: { metric: 5 } }],
    ['/peers/0/publicKey', { ...tunnel, peers: [{ ...peer, publicKey: `${'A'.repeat(42)}B=` }] }],
    ['/peers/0/allowedIps/0', { ...tunnel, peers: [{ ...peer, allowedIps: ['fe80::1%eth0/64'] }] }],
    [
      '/options/nonsense',
      { type: 'bond', interface: 'x', ports: ['eth0'], mode: 'broadcast', options: { nonsense: '1' } },
    ],
  ];
  for (const [pointer, network] of bad) {
    test(`is refused: ${JSON.stringify(network)}`, async (t) => {
      assert.deepEqual(
        networkDataShape.problems(network, []).map((problem) => pointerTo(problem.path)),
        [pointer],
      );
      if (skip !== false) {
        t.diagnostic(skip);
        return;
      }
      const [read] = readAsNetworkManager(await networkFiles('test', network));
      assert.ok(read?.error !== undefined || read?.warnings?.length, 'NetworkManager has nothing against it');
    });
  }

  test('leaves every channel that may be given', { skip }, async () => {
    const bands = ['2.4GHz', '5GHz'] as const;
    const all = bands.flatMap((band) => Array.from({ length: 233 }, (_, at) => ({ ...wifi, band, channel: at + 1 })));
    const good = all.filter((network) => fits(networkDataShape, network));
    assert.equal(good.length, 14 + 8 + 11 + 5);
    const files = await Promise.all(good.map((network) => networkFiles('test', network)));
    for (const { error } of readAsNetworkManager(files.flat())) assert.equal(error, undefined);
  });
});

describe('network data', () => {
  const peer = { publicKey: otherKey, allowedIps: ['10.0.0.0/8'] };
  const twoPeers = { type: 'wireguard', interface: 'wg0', privateKey: wireguardKey, peers: [peer, peer] };
  const bad: readonly (readonly [string, string, unknown])[] = [
    ['no object', '', 'Office'],
    ['no type', '', { ssid: 'x' }],
    ['a mistyped type', '/type', { type: 'wify' }],
    ['a mistyped key', '/sssid', { type: 'wifi', sssid: 'x', ssid: 'x', security: 'open' }],
    ['no SSID', '', { type: 'wifi', key: '12345678' }],
    ['two SSIDs', '', { type: 'wifi', ssid: 'x', ssidHex: '00', key: '12345678' }],
    ['an SSID that is no hexadecimal', '/ssidHex', { type: 'wifi', ssidHex: 'xyz', key: '12345678' }],
    ['a forgotten key', '', { type: 'wifi', ssid: 'x' }],
    ['an open network with a key', '/security', { type: 'wifi', ssid: 'x', key: '12345678', security: 'open' }],
    ['a short key', '/key', { type: 'wifi', ssid: 'x', key: '1234567' }],
    ['a channel without band', '/channel', { type: 'wifi', ssid: 'x', key: '12345678', channel: 6 }],
    ['a bad BSSID', '/bssid', { type: 'wifi', ssid: 'x', key: '12345678', bssid: '02-00' }],
    [
      'TLS without a key',
      '/enterprise',
      { type: 'wifi', ssid: 'x', enterprise: { method: 'tls', identity: 'x', clientCertificateFile: 'x' } },
    ],
    [
      'PAP in PEAP',
      '/enterprise/innerMethod',
      { type: 'wifi', ssid: 'x', enterprise: { method: 'peap', identity: 'x', password: 'x', innerMethod: 'pap' } },
    ],
    ['an address without prefix', '/ipv4/addresses/0', { type: 'ethernet', ipv4: { addresses: ['10.0.0.1'] } }],
    ['a prefix that is too long', '/ipv4/addresses/0', { type: 'ethernet', ipv4: { addresses: ['10.0.0.1/33'] } }],
    ['an address of the other family', '/ipv6/addresses/0', { type: 'ethernet', ipv6: { addresses: ['10.0.0.1/24'] } }],
    ['a gateway alone', '/ipv4/gateway', { type: 'ethernet', ipv4: { gateway: '10.0.0.1' } }],
    ['manual without addresses', '/ipv4', { type: 'ethernet', ipv4: 'manual' }],
    [
      'a gateway that is not to be used',
      '/ipv4/default',
      { type: 'ethernet', ipv4: { addresses: ['10.0.0.5/24'], gateway: '10.0.0.1', default: false } },
    ],
    ['an unknown method', '/ipv4', { type: 'ethernet', ipv4: 'dhcp' }],
    ['a bad route', '/ipv4/routes/0/to', { type: 'ethernet', ipv4: { routes: [{ to: 'default' }] } }],
    ['a long interface name', '/interface', { type: 'ethernet', interface: 'x'.repeat(16) }],
    ['a bridge that the OS leaves alone', '/interface', { type: 'bridge', interface: 'br0', ports: ['eth0'] }],
    ['a bridge without ports', '/ports', { type: 'bridge', interface: 'lan0', ports: [] }],
    ['a VLAN out of range', '/id', { type: 'vlan', id: 4095, parent: 'eth0' }],
    ['a PIN without quotes', '/pin', { type: 'cellular', pin: 1234 }],
    [
      'a WireGuard key that is none',
      '/privateKey',
      {
        type: 'wireguard',
        interface: 'wg0',
        privateKey: 'x',
        peers: [{ publicKey: otherKey, allowedIps: ['10.0.0.0/8'] }],
      },
    ],
    [
      'an endpoint without port',
      '/peers/0/endpoint',
      {
        type: 'wireguard',
        interface: 'wg0',
        privateKey: wireguardKey,
        peers: [{ publicKey: otherKey, allowedIps: ['10.0.0.0/8'], endpoint: 'x' }],
      },
    ],
    ['two peers with one key', '/peers/1/publicKey', twoPeers],
    [
      'two addresses to share',
      '/ipv4/addresses',
      { type: 'ethernet', ipv4: { method: 'shared', addresses: ['10.0.0.1/24', '10.0.1.1/24'] } },
    ],
    [
      'a mode among the options of a bond',
      '/options/mode',
      { type: 'bond', interface: 'x', ports: ['eth0'], mode: 'broadcast', options: { mode: '802.3ad' } },
    ],
    [
      'a password that is empty',
      '/enterprise/password',
      { type: 'ethernet', enterprise: { method: 'peap', identity: 'x', password: '' } },
    ],
    ['a priority out of range', '/priority', { type: 'ethernet', priority: 1000 }],
  ];
  for (const [what, pointer, network] of bad) {
    test(`is refused with ${what}`, () => {
      const problems = networkDataShape.problems(network, []).map((problem) => pointerTo(problem.path));
      assert.deepEqual(problems, [pointer]);
    });
  }

  test('has names that make good file names', () => {
    for (const good of ['office', 'resin-wifi', 'Wi Fi 2']) assert.ok(fits(networkNameShape, good), good);
    for (const wrong of ['', '.x', 'a/b', 'a.config', ' x', 'x ', 'x'.repeat(41)])
      assert.ok(!fits(networkNameShape, wrong), wrong);
  });
});
