import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { isRecord } from '../../src/lib/platform/json.js';
import { runChecked } from '../../src/lib/platform/child-process.js';
import { davit, davitJson } from '../support/davit.js';
import { partitionContent } from '../support/disk-content.js';
import { configureNetworks, makeNetworkImage } from '../support/network-image.js';
import { networkManagerMissing, readAsNetworkManager } from '../support/network-manager.js';

const wireguardKey = Buffer.alloc(32, 7).toString('base64');
const otherKey = Buffer.alloc(32, 250).toString('base64');
const secrets = {
  DAVIT_WIFI_KEY: ' p;a#s=s\\word',
  DAVIT_NETWORK_PASSWORD: 's;3\\ "x"',
  DAVIT_SIM_PIN: '0012',
  TUNNEL_KEY: wireguardKey,
};

/** Networks of every kind: the words that add one, or what a file for --from has, and what NetworkManager must understand of it. */
const kinds: readonly {
  readonly name: string;
  readonly words?: readonly string[];
  readonly from?: object;
  readonly files?: number;
  readonly understood: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}[] = [
  { name: 'dhcp', words: [], understood: { connection: { type: '802-3-ethernet' }, ipv4: { method: 'auto' } } },
  {
    name: 'wired',
    words: [
      ...['--interface', 'eth0', '--address', '192.168.1.5/24', '--address', 'fd00::5/64', '--gateway', '192.168.1.1'],
      ...['--gateway', 'fd00::1', '--dns', '1.1.1.1, fd00::53', '--route', '10.0.0.0/8,192.168.1.9,5', '--mtu', '9000'],
      ...['--metric', '50', '--mac', 'random', '--priority', '-3', '--metered'],
    ],
    understood: {
      connection: { 'interface-name': 'eth0', 'autoconnect-priority': -3, metered: 1 },
      '802-3-ethernet': { mtu: 9000, 'assigned-mac-address': 'random' },
      ipv4: {
        ...{ method: 'manual', gateway: '192.168.1.1', 'route-metric': 50 },
        'address-data': [{ address: '192.168.1.5', prefix: 24 }],
        'route-data': [{ dest: '10.0.0.0', prefix: 8, 'next-hop': '192.168.1.9', metric: 5 }],
      },
      ipv6: { method: 'manual', gateway: 'fd00::1', 'address-data': [{ address: 'fd00::5', prefix: 64 }] },
    },
  },
  {
    name: 'machine',
    words: ['--address', '10.0.0.2/24', '--no-default-route', '--ipv6', 'disabled', '--no-autoconnect'],
    understood: {
      connection: { autoconnect: false },
      ipv4: { 'never-default': true, method: 'manual' },
      ipv6: { method: 'disabled' },
    },
  },
  {
    name: 'office',
    words: [
      '--wifi-ssid',
      'Zürich; ${X}',
      '--hidden',
      '--band',
      '5GHz',
      '--channel',
      '36',
      '--bssid',
      '02:00:5e:10:00:01',
    ],
    understood: {
      '802-11-wireless': {
        ...{ ssid: Buffer.from('Zürich; ${X}').toString('hex'), hidden: true, band: 'a', channel: 36 },
        bssid: '02005e100001',
      },
      '802-11-wireless-security': { 'key-mgmt': 'wpa-psk', psk: secrets.DAVIT_WIFI_KEY },
    },
  },
  {
    name: 'bytes',
    words: ['--wifi-ssid-hex', 'ff00fe', '--security', 'wpa3'],
    understood: {
      '802-11-wireless': { ssid: 'ff00fe' },
      '802-11-wireless-security': { 'key-mgmt': 'sae', psk: secrets.DAVIT_WIFI_KEY },
    },
  },
  {
    name: 'cafe',
    words: ['--wifi-ssid', 'Café', '--security', 'open'],
    understood: { '802-11-wireless': { mode: 'infrastructure' } },
  },
  {
    name: 'eduroam',
    words: [
      ...['--wifi-ssid', 'eduroam', '--identity', 'me@example.org', '--anonymous-identity', 'anonymous@example.org'],
      ...['--ca-certificate', 'ca.pem', '--domain', 'radius.example.org'],
    ],
    files: 2,
    understood: {
      '802-11-wireless-security': { 'key-mgmt': 'wpa-eap' },
      '802-1x': {
        ...{ eap: ['peap'], identity: 'me@example.org', password: secrets.DAVIT_NETWORK_PASSWORD },
        ...{ 'phase2-auth': 'mschapv2', 'domain-suffix-match': 'radius.example.org' },
        'ca-cert': Buffer.from('file:///mnt/boot/system-connections/eduroam-ca.pem\0').toString('hex'),
      },
    },
  },
  {
    name: 'certified',
    words: [
      ...['--identity', 'device', '--eap', 'tls', '--ca-certificate', 'ca.pem'],
      ...['--client-certificate', 'ca.pem', '--private-key', 'key.pem', '--interface', 'eth1'],
    ],
    files: 4,
    understood: { '802-1x': { eap: ['tls'], 'private-key-password-flags': 4 } },
  },
  {
    name: 'set-up',
    words: [
      '--type',
      'access-point',
      '--wifi-ssid',
      'Set-up',
      '--band',
      '2.4GHz',
      '--address',
      '192.168.42.1/24',
      '--ipv4',
      'shared',
    ],
    understood: { '802-11-wireless': { mode: 'ap', band: 'bg' }, ipv4: { method: 'shared' } },
  },
  {
    name: 'modem',
    words: ['--apn', 'internet.example', '--user', 'a;b', '--no-roaming', '--metric', '700'],
    understood: {
      gsm: {
        ...{ apn: 'internet.example', username: 'a;b', password: secrets.DAVIT_NETWORK_PASSWORD, pin: '0012' },
        'home-only': true,
      },
    },
  },
  {
    name: 'cameras',
    words: ['--vlan-id', '12', '--parent', 'eth0', '--interface', 'eth0.12', '--address', '10.12.0.5/24'],
    understood: { vlan: { id: 12, parent: 'eth0' } },
  },
  {
    name: 'lan0',
    words: ['--type', 'bridge', '--interface', 'lan0', '--port', 'eth1', '--port', 'eth2'],
    files: 3,
    understood: { connection: { type: 'bridge', 'interface-name': 'lan0' } },
  },
  {
    name: 'bond0',
    words: [
      '--type',
      'bond',
      '--interface',
      'bond0',
      '--port',
      'eth3',
      '--port',
      'eth4',
      '--bond-mode',
      'active-backup',
    ],
    files: 3,
    understood: { bond: { options: { mode: 'active-backup' } } },
  },
  {
    name: 'tunnel',
    from: {
      ...{
        type: 'wireguard',
        interface: 'wg0',
        privateKey: { env: 'TUNNEL_KEY' },
        ipv4: { addresses: ['10.9.0.2/32'] },
      },
      peers: [{ publicKey: otherKey, endpoint: '[fd00::1]:51820', allowedIps: ['10.9.0.0/24'], keepalive: 25 }],
    },
    understood: { wireguard: { 'private-key': wireguardKey }, ipv4: { method: 'manual' } },
  },
];

/** Demands of a value that it has what another has. */
function assertHolds(actual: unknown, expected: Readonly<Record<string, unknown>>, what: string): void {
  assert.ok(isRecord(actual), what);
  for (const [key, value] of Object.entries(expected)) {
    if (isRecord(value) && isRecord(actual[key])) assertHolds(actual[key], value, `${what}.${key}`);
    else assert.deepEqual(actual[key], value, `${what}.${key}`);
  }
}

/** A document in which each question is answered by a variable that holds the secret for it. */
function answered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(answered);
  if (!isRecord(value)) return value;
  if (typeof value.prompt !== 'string') {
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, answered(one)]));
  }
  const variables = {
    Key: 'DAVIT_WIFI_KEY',
    Password: 'DAVIT_NETWORK_PASSWORD',
    PIN: 'DAVIT_SIM_PIN',
    'Private key': 'TUNNEL_KEY',
  };
  return { env: new Map(Object.entries(variables)).get(value.prompt.split(' of ')[0] ?? '') };
}

async function makeCertificate(folder: string): Promise<void> {
  await runChecked('making a certificate', 'openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '900'],
    ...['-subj', '/CN=device', '-keyout', path.join(folder, 'key.pem'), '-out', path.join(folder, 'ca.pem')],
  ]);
}

describe('network add', () => {
  for (const layout of [{}, { table: 'mbr', fat: 32 }] as const) {
    it(`puts in networks of every kind, which show gives back and remove takes out: FAT${layout.fat ?? 16}`, async (t) => {
      const image = await makeNetworkImage(t, layout);
      const before = await image.bootFiles();
      await makeCertificate(image.folder);
      Object.assign(image.environment, secrets);
      const known = new Set(await image.connections());
      for (const { name, words, from, files = 1, understood } of kinds) {
        const inFolder = (words ?? []).map((word) =>
          /^(ca|key)\.pem$/.test(word) ? path.join(image.folder, word) : word,
        );
        const more = from === undefined ? inFolder : ['--from', await image.file(`${name}.json`, JSON.stringify(from))];
        await image.davit('network', 'add', image.path, name, ...more);
        const added = (await image.connections()).filter((file) => !known.has(file));
        assert.equal(added.length, files, name);
        for (const file of added) known.add(file);
        const contents = await image.contents(added);
        if (networkManagerMissing() === false) {
          const keyfiles = contents.filter((file) => !file.name.endsWith('.pem'));
          const read = readAsNetworkManager(keyfiles);
          for (const [index, { error, warnings = [] }] of read.entries()) {
            assert.equal(error, undefined, keyfiles[index]?.name);
            // The certificates will be there on a device.
            assert.deepEqual(
              warnings.filter((text) => !text.includes('does not exist')),
              [],
            );
          }
          assertHolds(read[keyfiles.findIndex((file) => file.name === name)]?.settings, understood, name);
        }

        const shown = await davit(['network', 'show', image.path, name]);
        assert.equal(shown.exitCode, 0, shown.stderr);
        assert.ok(!shown.stdout.includes('#'), `${name} leaves nothing unsaid: ${shown.stdout}`);
        for (const secret of Object.values(secrets)) assert.ok(!shown.stdout.includes(secret), name);
        const again = await image.file('again.yaml', JSON.stringify(answered(parse(shown.stdout))));
        for (const { name: file, content } of contents) await image.file(file, content);
        const result = await image.davit('network', 'add', image.path, name, '--from', again, '--force');
        assert.deepEqual(
          result.files,
          contents
            .map(({ name: file, content }) => ({
              ...{ path: `system-connections/${file}`, action: 'keep', size: content.length },
            }))
            .sort((a, b) => orderOf(result.files, a.path) - orderOf(result.files, b.path)),
        );
      }
      const { networks } = await image.davit('network', 'list', image.path);
      assert.ok(Array.isArray(networks));
      assert.equal(networks.length, kinds.length + 1);
      await image.davit('network', 'remove', image.path, ...kinds.map(({ name }) => name));
      assert.deepEqual(await image.bootFiles(), before);
    });
  }

  it('takes a key file to the byte as it is, under the name that is given', async (t) => {
    const image = await makeNetworkImage(t);
    const text = Buffer.from(
      '# mine\r\n[connection]\nid=x\ntype=wifi\n\n[wifi]\nssid=255;0;254;\n\n[ipv4]\nmethod=auto\n',
    );
    const file = await image.file('from-somewhere.config', text);
    await image.davit('network', 'add', image.path, 'odd.nmconnection', '--from', file);
    const [stored] = await image.contents(['odd.nmconnection']);
    assert.ok(stored?.content.equals(text));
    const { network } = await image.davit('network', 'show', image.path, 'odd.nmconnection');
    assert.deepEqual(network, { type: 'wifi', ssidHex: 'ff00fe', security: 'open' });
    const ignored = await image.refused('network', 'add', image.path, 'odd.config', '--from', file);
    assert.equal(ignored.code, 'ignored-file-name');
  });

  it('takes a file with one network as a profile has it, in each of three forms', async (t) => {
    const image = await makeNetworkImage(t);
    const network = { type: 'ethernet', interface: 'eth7' };
    const forms = [network, { networks: { other: network } }, { networks: { other: { type: 'wifi' }, one: network } }];
    for (const form of forms) {
      const file = await image.file('one.yaml', JSON.stringify(form));
      await image.davit('network', 'add', image.path, 'one', '--from', file, '--force');
      assert.deepEqual((await image.davit('network', 'show', image.path, 'one')).network, network);
    }
    const bad: readonly (readonly [string, RegExp])[] = [
      ['type: wifi\nssid: x\nkey: short\n', /one\.yaml:3:1: .*\/key must have 8 to 63/],
      ['type: wifi\nssid: x\nkey: { env: NOBODY_SETS_THIS }\n', /one\.yaml:3:1: .*needs the environment variable/],
      ['networks:\n  a: { type: ethernet }\n  b: { type: ethernet }\n', /one\.yaml:1:1: \/networks has none named one/],
      ['mode: development\nnetworks:\n  one: { type: ethernet }\n', /one\.yaml:1:1: \/mode is no network/],
      ['- type: ethernet\n', /must be an object with type/],
      ['', /must be an object with type|must have type/],
    ];
    for (const [text, message] of bad) {
      const file = await image.file('one.yaml', text);
      const error = await image.refused('network', 'add', image.path, 'one', '--from', file, '--force');
      assert.equal(error.code, 'invalid-profile', text);
      assert.match(String(error.message), message);
    }
    const asked = await image.file('one.yaml', 'type: wifi\nssid: x\nkey: { prompt: Key of it }\n');
    assert.equal((await image.refused('network', 'add', image.path, 'one', '--from', asked)).code, 'answer-needed');
  });

  it('takes secrets from files and standard input, and never shows one', async (t) => {
    const image = await makeNetworkImage(t);
    const key = await image.file('key', 'my secret key\r\n');
    const words = ['network', 'add', image.path, 'office', '--wifi-ssid', 'Office', '--key-file'];
    const fromFile = await davit([...words, key, '--diff']);
    assert.equal(fromFile.exitCode, 0, fromFile.stderr);
    const fromInput = await davit([...words, '-'], { input: 'my secret key\n' });
    assert.equal(fromInput.exitCode, 0, fromInput.stderr);
    const [stored] = await image.contents(['office']);
    assert.match(String(stored?.content), /^psk=my secret key$/m);
    for (const { stdout, stderr } of [fromFile, fromInput]) assert.ok(!`${stdout}${stderr}`.includes('my secret key'));
  });

  it('replaces a network only with --force, and then takes away what only the old one needed', async (t) => {
    const image = await makeNetworkImage(t);
    await makeCertificate(image.folder);
    const ca = path.join(image.folder, 'ca.pem');
    const login = ['--identity', 'me', '--ca-certificate', ca];
    Object.assign(image.environment, secrets);
    await image.davit('network', 'add', image.path, 'corp', '--wifi-ssid', 'Corp', ...login);
    assert.ok((await image.connections()).includes('corp-ca.pem'));
    const error = await image.refused('network', 'add', image.path, 'Corp', '--wifi-ssid', 'Other');
    assert.equal(error.code, 'network-exists');
    await image.davit('network', 'add', image.path, 'corp', '--wifi-ssid', 'Other', '--force');
    assert.ok(!(await image.connections()).includes('corp-ca.pem'));
  });

  it('leaves a certificate that another network uses too', async (t) => {
    const image = await makeNetworkImage(t);
    await makeCertificate(image.folder);
    Object.assign(image.environment, secrets);
    const ca = path.join(image.folder, 'ca.pem');
    await image.davit(
      'network',
      'add',
      image.path,
      'corp',
      '--wifi-ssid',
      'Corp',
      '--identity',
      'me',
      '--ca-certificate',
      ca,
    );
    const [keyfile] = await image.contents(['corp']);
    const copy = await image.file('copy', keyfile?.content ?? '');
    await image.davit('network', 'add', image.path, 'guest', '--from', copy);
    await image.davit('network', 'remove', image.path, 'corp');
    assert.ok((await image.connections()).includes('corp-ca.pem'));
    await image.davit('network', 'remove', image.path, 'guest');
    assert.ok(!(await image.connections()).includes('corp-ca.pem'));
  });

  it('writes another image with --output, and nothing with --dry-run and --check', async (t) => {
    const image = await makeNetworkImage(t, { table: 'mbr' });
    const before = await readFile(image.path);
    await mkdir(path.join(image.folder, 'out'));
    const output = path.join(image.folder, 'out', 'other.img');
    await image.davit('network', 'add', image.path, 'wired', '--output', output);
    await image.davit('network', 'add', image.path, 'wired', '--dry-run');
    const check = await davitJson(['network', 'add', image.path, 'wired', '--check']);
    assert.equal(check.exitCode, 4);
    assert.ok(before.equals(await readFile(image.path)));
    assert.ok('system-connections/wired' in (await partitionContent(output, image.boot)).files);
  });

  it('says which flag is wrong, before anything is written', async (t) => {
    const image = await makeNetworkImage(t);
    const cases: readonly (readonly [readonly string[], string])[] = [
      [['--address', '192.168.1.300/24'], '--address must be an IPv4 address with a prefix length'],
      [['--gateway', '192.168.1.1'], '--gateway must go with addresses'],
      [['--gateway', '1.1.1.1', '--gateway', '2.2.2.2'], '--gateway is given twice for IPv4'],
      [['--ipv4', 'manual'], '--ipv4 must be'],
      [['--route', '10.0.0.0/8,1.2.3.4,x'], '--route must be a number from 0'],
      [['--mtu', '5'], '--mtu must be a number of bytes'],
      [['--wifi-ssid', 'x'.repeat(33)], '--wifi-ssid must be a Wi-Fi name of 1 to 32 bytes'],
      [['--wifi-ssid', 'x', '--security', 'wep'], '--security must be'],
      [['--wifi-ssid', 'x', '--channel', '6'], '--channel must go with band'],
      [['--wifi-ssid-hex', 'xyz'], '--wifi-ssid-hex must be'],
      [['--apn', 'a b'], '--apn must be an access point name'],
      [['--apn', 'x', '--band', '5GHz'], '--band is not a known key'],
      [['--type', 'bridge', '--interface', 'br0', '--port', 'eth1'], '--interface must not begin with br'],
      [['--type', 'bond', '--interface', 'x', '--port', 'y'], 'the network must have mode'],
      [['--key-file', '/dev/null'], '--key-file has no use here'],
      [['--identity', 'me', '--eap', 'md5'], '--eap must be peap, ttls or tls'],
    ];
    Object.assign(image.environment, secrets);
    for (const [words, message] of cases) {
      const error = await image.refused('network', 'add', image.path, 'one', ...words);
      assert.equal(error.code, 'invalid-network', words.join(' '));
      assert.ok(String(error.message).includes(message), `${words.join(' ')}: ${String(error.message)}`);
    }
    image.environment.DAVIT_WIFI_KEY = 'short';
    const key = await image.refused('network', 'add', image.path, 'one', '--wifi-ssid', 'x');
    assert.equal(key.message, 'the Wi-Fi key must have 8 to 63 printable ASCII characters or be 64 hexadecimal digits');
    const name = await image.refused('network', 'add', image.path, 'a/b');
    assert.match(String(name.message), /^the name of a network must be letters/);
    const empty = await image.refused(
      'network',
      'add',
      image.path,
      'one',
      '--wifi-ssid',
      'x',
      '--key-file',
      '/dev/null',
    );
    assert.equal(empty.code, 'secret-empty');
    delete image.environment.DAVIT_WIFI_KEY;
    const asked = await image.refused('network', 'add', image.path, 'one', '--wifi-ssid', 'x');
    assert.equal(asked.code, 'answer-needed');
  });

  it('says that an access point at 5 GHz needs a country', async (t) => {
    const image = await makeNetworkImage(t);
    Object.assign(image.environment, secrets);
    const words = [
      'network',
      'add',
      image.path,
      'spot',
      '--type',
      'access-point',
      '--wifi-ssid',
      'Spot',
      '--band',
      '5GHz',
    ];
    const said = async () => JSON.stringify((await image.davit(...words, '--dry-run')).warnings);
    assert.match(await said(), /the access point spot needs a country/);
    await image.davit('os', 'configure', image.path, '--country', 'DE', '--in-place');
    assert.doesNotMatch(await said(), /needs a country/);
  });

  it('works beside networks that a profile put in', async (t) => {
    const image = await makeNetworkImage(t);
    await configureNetworks(image, { wired: { type: 'ethernet' } });
    await image.davit('network', 'add', image.path, 'modem', '--apn', 'x');
    assert.deepEqual(
      (await image.connections()).filter((name) => !name.endsWith('.ignore')),
      ['modem', 'wired'],
    );
  });
});

function orderOf(files: unknown, wanted: string): number {
  assert.ok(Array.isArray(files));
  return files.findIndex((file) => isRecord(file) && file.path === wanted);
}
