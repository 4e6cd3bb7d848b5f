import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, open, readFile, rm, symlink, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { isRecord } from '../../src/lib/platform/json.js';
import { davitJson } from '../support/davit.js';
import { hashesOfFiles } from '../support/disk-content.js';
import { writeTree } from '../support/file-tree.js';
import { checked } from '../support/loop-device.js';
import { makeOsImage, type OsImage, type OsImageOptions } from '../support/os-image.js';
import { makePng } from '../support/png.js';

/** Stands wherever a value is that must not be shown. */
const secret = 's3cret-7f1c';

/** What is wrong, and how davit must say so. */
interface BadInput {
  /** Files beside the image. */
  readonly files?: Readonly<Record<string, string | Buffer>>;
  /** Words behind `os configure`; `device.img` is the image. */
  readonly words: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly exitCode: number;
  readonly code: string;
  /** The first mistake in a file: JSON pointer, line, column. */
  readonly at?: readonly [pointer: string, line?: number, column?: number];
  /** What the message must say. */
  readonly says?: RegExp;
  /** The image is made like this. */
  readonly image?: OsImageOptions;
  /** Damage to the image after that. */
  readonly damage?: (image: OsImage) => Promise<void>;
}

const inPlace = ['device.img', '--in-place'] as const;

/** A profile of one text. */
function profile(text: string, at: BadInput['at'], more: Partial<BadInput> = {}): BadInput {
  const files = { 'kiosk.yaml': text, ...more.files };
  const words = [...inPlace, '--profile', 'kiosk.yaml'];
  return { exitCode: 2, code: 'invalid-profile', words, ...more, files, ...(at === undefined ? {} : { at }) };
}

/** A profile with one network of these lines, which begin in line 3. */
function network(lines: readonly string[], at: BadInput['at'], more: Partial<BadInput> = {}): BadInput {
  return profile(`networks:\n  office:\n${lines.map((line) => `    ${line}\n`).join('')}`, at, more);
}

/** Keys for config.json. */
function config(text: string, at: BadInput['at'], more: Partial<BadInput> = {}): BadInput {
  const words = [...inPlace, '--config', 'more.json'];
  return {
    ...{ exitCode: 2, code: 'invalid-config', words, files: { 'more.json': text } },
    ...(at === undefined ? {} : { at }),
    ...more,
  };
}

/** A ready key file. */
function keyfile(name: string, content: string | Buffer, more: Partial<BadInput> = {}): BadInput {
  const words = [...inPlace, '--network', name];
  return { exitCode: 2, code: 'invalid-keyfile', words, files: { [name]: content }, ...more };
}

function flags(words: readonly string[], code: string, more: Partial<BadInput> = {}): BadInput {
  return { exitCode: 2, code, words: [...inPlace, ...words], ...more };
}

/** An image that something is wrong with. */
function image(code: string, exitCode: number, more: Partial<BadInput>): BadInput {
  return { exitCode, code, words: [...inPlace, '--dev'], ...more };
}

async function patch(file: string, offset: number, bytes: Uint8Array): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.write(bytes, 0, bytes.length, offset);
  await handle.close();
}

const enterprise = ['type: wifi', 'ssid: Corp', 'enterprise:'];
const rsa = (bytes: Buffer) => `ssh-rsa ${bytes.toString('base64')} me`;

const bad: Readonly<Record<string, BadInput>> = {
  'an image that is not there': { words: ['absent.img', '--dev'], exitCode: 3, code: 'enoent' },
  'a link to an image that is not there': {
    words: ['dangling.img', '--dev', '--in-place'],
    exitCode: 3,
    code: 'enoent',
  },
  'no image at all': { words: ['--dev'], exitCode: 2, code: 'usage' },
  'two images': { words: ['device.img', 'other.img', '--dev'], exitCode: 2, code: 'usage' },
  'an empty file': { words: ['empty.img', '--dev'], files: { 'empty.img': '' }, exitCode: 4, code: 'not-an-image' },
  'a text': {
    words: ['notes.img', '--dev'],
    files: { 'notes.img': 'x'.repeat(9000) },
    exitCode: 4,
    code: 'not-an-image',
  },
  'a packed image, in place': {
    ...{ words: ['device.img.gz', '--dev', '--in-place'], exitCode: 4, code: 'in-place-impossible' },
    files: { 'device.img.gz': gzipSync(Buffer.alloc(100_000)) },
  },
  'a mistyped flag': flags(['--develop'], 'usage'),
  'a flag without its value': flags(['--hostname'], 'usage'),
  'two places to write to': flags(['--dev', '--output', 'new.img'], 'usage'),
  'nothing to configure': flags([], 'nothing-to-configure'),
  'an output that is there': {
    ...{ words: ['device.img', '--dev', '--output', 'taken.img'], files: { 'taken.img': 'mine' } },
    ...{ exitCode: 4, code: 'output-exists' },
  },
  'an output in a folder that is not there': {
    ...{ words: ['device.img', '--dev', '--output', 'absent/new.img'], exitCode: 3, code: 'enoent' },
  },
  'the image as output': {
    words: ['device.img', '--dev', '-o', './device.img', '--force'],
    exitCode: 2,
    code: 'output-is-image',
  },

  'a host name with a dot': flags(['--hostname', 'a.b'], 'invalid-config', { at: ['/hostname'] }),
  'a host name of 64 letters': flags(['--hostname', 'x'.repeat(64)], 'invalid-config', { at: ['/hostname'] }),
  'a host name with a hyphen at its end': flags(['--hostname', 'kiosk-'], 'invalid-config', { at: ['/hostname'] }),
  'a host name with an umlaut': flags(['--hostname', 'büro'], 'invalid-config', { at: ['/hostname'] }),
  'a host name for units without a unit': flags(['--hostname', 'kiosk-{serial}'], 'unit-needed'),
  'a country in words': flags(['--country', 'Germany'], 'invalid-config', { at: ['/country'] }),
  'a DNS server by name': flags(['--dns', 'dns.example.com'], 'invalid-config', { at: ['/dnsServers'] }),
  'a time server with a space in its name': flags(['--ntp', 'a_b!c'], 'invalid-config', { at: ['/ntpServers'] }),
  'a Wi-Fi name of 33 bytes': flags(['--wifi-ssid', 'é'.repeat(16) + 'x', '--wifi-open'], 'invalid-ssid'),
  'an empty Wi-Fi name': flags(['--wifi-ssid', '', '--wifi-open'], 'invalid-ssid'),
  'a Wi-Fi key of 7 letters': flags(['--wifi-ssid', 'x', '--wifi-key-file', '-'], 'invalid-wifi-key', {
    input: 's3cret-',
  }),
  'a Wi-Fi key with an umlaut': flags(['--wifi-ssid', 'x', '--wifi-key-file', '-'], 'invalid-wifi-key', {
    input: `${secret}ü`,
  }),
  'a Wi-Fi key that nobody can be asked for': flags(['--wifi-ssid', 'x'], 'answer-needed'),
  'a Wi-Fi key in a file that is not there': flags(['--wifi-ssid', 'x', '--wifi-key-file', 'absent'], 'enoent', {
    exitCode: 3,
  }),
  'a Wi-Fi key without a network': flags(['--wifi-key-file', '-'], 'usage', { input: secret }),

  'an SSH key that is cut off': flags(['--ssh-key', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJl2'], 'invalid-ssh-key'),
  'an SSH key of another type than it says': flags(
    ['--ssh-key', 'ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIJl2l7bQvI0BRqGSdY8r3nM2jUe1X0S2r4m0r8f2yq2S'],
    'invalid-ssh-key',
  ),
  'an SSH key of random bytes': flags(['--ssh-key', rsa(Buffer.alloc(300, 5))], 'invalid-ssh-key'),
  'the private half of an SSH key': flags(['--ssh-key', 'id'], 'private-key', {
    exitCode: 4,
    files: { id: `-----BEGIN OPENSSH PRIVATE KEY-----\n${secret}\n-----END OPENSSH PRIVATE KEY-----\n` },
  }),
  'a file of SSH keys without any': flags(['--ssh-key', 'id.pub'], 'invalid-ssh-key', {
    files: { 'id.pub': '# none\n' },
  }),

  'JSON with a comma too many': config('{\n  "a": 1,\n}', undefined, {
    ...{ code: 'invalid-config-file', says: /line 3, column 1/ },
  }),
  'JSON with a comment': config('{ // mine\n "a": 1 }', undefined, {
    code: 'invalid-config-file',
    says: /line 1, column 3/,
  }),
  'JSON that is a list': config('["a"]', undefined, { code: 'invalid-config-file' }),
  'JSON that is not UTF-8': config('x', undefined, {
    ...{ code: 'invalid-config-file', files: { 'more.json': Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]) } },
  }),
  'an SSH key in place of a list of them': config(`{"os":\n {"sshKeys": "${secret}"}}`, ['/os/sshKeys', 2, 3]),
  'a port as text': config('{"listenPort": "48484"}', ['/listenPort', 1, 2]),
  'a port out of range': config('{\n"vpnPort": 65536}', ['/vpnPort', 2, 1]),
  'a URL without a scheme': config('{"apiEndpoint": "api.balena-cloud.com"}', ['/apiEndpoint', 1, 2]),
  'a UUID in capital letters': config(`{"uuid": "${'A'.repeat(32)}"}`, ['/uuid', 1, 2]),
  'text in place of the object os': config('{"os": "none"}', ['/os', 1, 2]),
  'no keys in development mode': config('{"developmentMode": true, "os": {"sshKeys": []}}', ['/os/sshKeys', 1, 34]),
  'an API key that is a number': config('{"apiKey": 1234}', ['/apiKey', 1, 2]),

  'a profile that is not there': { words: [...inPlace, '--profile', 'absent.yaml'], exitCode: 3, code: 'enoent' },
  'a profile that is not YAML': profile('mode: development\nhostname: "x\n', ['', 3]),
  'a profile with a key twice': profile('mode: development\nmode: production\n', ['', 2, 1]),
  'a profile that is not UTF-8': profile('', [''], {
    files: { 'kiosk.yaml': Buffer.from('hostname: b\xfcro\n', 'latin1') },
  }),
  'a profile that is a list': profile('- mode: development\n', ['']),
  'a mistyped key': profile('mode: production\nhostnam: x\n', ['/hostnam', 2, 1], { says: /hostname/ }),
  'a mode that there is not': profile('mode: develop\n', ['/mode', 1, 1]),
  'a variable that is not set': profile('hostname: ${DAVIT_TEST_ABSENT:?the name}\n', ['/hostname', 1, 1], {
    says: /the name/,
  }),
  'a question and nobody to answer it': network(['type: wifi', 'ssid: x', 'key: { prompt: Key of x }'], undefined, {
    code: 'answer-needed',
  }),
  'a setting said twice': profile('hostname: a\nconfig:\n  hostname: b\n', ['/config/hostname', 3, 3]),
  'a file to go outside of the partition': profile('bootFiles:\n  ../x: kiosk.yaml\n', ['/bootFiles/..~1x', 2, 3]),
  'a file for a name that FAT cannot have': profile('bootFiles:\n  "a:b": kiosk.yaml\n', ['/bootFiles/a:b', 2, 3]),
  'a file to go where another goes': profile('bootFiles: { a: kiosk.yaml, A: kiosk.yaml }\n', ['', 1]),
  'a file that is not there': profile('bootFiles:\n  a: absent\n', ['/bootFiles/a', 2, 3]),

  'a network without a type': network(['ssid: x'], ['/networks/office', 2, 3]),
  'a network of a type that there is not': network(['type: wify'], ['/networks/office/type', 3, 5]),
  'a network with a mistyped key': network(['type: ethernet', 'interfce: eth0'], ['/networks/office/interfce', 4, 5]),
  'a network whose file name is ignored': profile('networks:\n  home.backup: { type: ethernet }\n', [
    '/networks/home.backup',
    2,
    3,
  ]),
  'a Wi-Fi without a key': network(['type: wifi', 'ssid: x'], ['/networks/office', 2, 3]),
  'a Wi-Fi with a short key': network(
    ['type: wifi', 'ssid: x', `key: ${secret.slice(0, 7)}`],
    ['/networks/office/key', 5, 5],
  ),
  'a Wi-Fi name that is too long': network(
    ['type: wifi', `ssid: ${'x'.repeat(33)}`, 'security: open'],
    ['/networks/office/ssid', 4, 5],
  ),
  'an address without a prefix': network(
    ['type: ethernet', 'ipv4:', '  addresses: [10.0.0.1]'],
    ['/networks/office/ipv4/addresses/0', 5, 19],
  ),
  'a gateway of the other family': network(
    ['type: ethernet', 'ipv4:', '  addresses: [10.0.0.5/24]', '  gateway: fd00::1'],
    ['/networks/office/ipv4/gateway', 6, 7],
  ),
  'a VLAN out of range': network(['type: vlan', 'parent: eth0', 'id: 4095'], ['/networks/office/id', 5, 5]),
  'a bridge that the OS leaves alone': network(
    ['type: bridge', 'interface: br0', 'ports: [eth0]'],
    ['/networks/office/interface', 4, 5],
  ),
  'a WireGuard key that is none': network(
    ['type: wireguard', 'interface: wg0', `privateKey: ${secret}`, 'peers: []'],
    ['/networks/office/privateKey', 5, 5],
  ),
  'a PIN without quotes': network(['type: cellular', 'pin: 1234'], ['/networks/office/pin', 4, 5]),
  'a certificate that is not there': network(
    [...enterprise, '  { method: peap, identity: x, password: x, caCertificateFile: absent.pem }'],
    ['/networks/office', 2, 3],
  ),
  'a certificate that is none': network(
    [...enterprise, '  { method: peap, identity: x, password: x, caCertificateFile: ca.pem }'],
    ['/networks/office', 2, 3],
    { files: { 'ca.pem': `-----BEGIN CERTIFICATE-----\n${secret}\n-----END CERTIFICATE-----\n` } },
  ),
  'a private key that is none': network(
    [...enterprise, '  { method: tls, identity: x, clientCertificateFile: good.pem, privateKeyFile: bad.key }'],
    ['/networks/office', 2, 3],
    { files: { 'bad.key': `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----\n` } },
  ),
  'a private key of somebody else': network(
    [...enterprise, '  { method: tls, identity: x, clientCertificateFile: good.pem, privateKeyFile: other.key }'],
    ['/networks/office', 2, 3],
    { says: /other\.key/ },
  ),

  'a key file that is text': keyfile('lan', 'hello\n', { says: /line 1/ }),
  'a key file with a bad line': keyfile('lan', `[connection]\ntype=wifi\n${secret}\n`, { says: /line 3/ }),
  'a key file without a type': keyfile('lan', '[connection]\nid=lan\n'),
  'a key file that is not UTF-8': keyfile('lan', Buffer.from('[connection]\ntype=wifi\nid=\xfc\n', 'latin1')),
  'a key file with a short key': keyfile(
    'lan',
    '[connection]\ntype=wifi\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=s3cret-\n',
  ),
  'a key file of an ignored name': keyfile('home.backup', '[connection]\ntype=wifi\n', {
    exitCode: 4,
    code: 'ignored-file-name',
  }),
  'a key file of a name that FAT cannot have': keyfile('lan:1', '[connection]\ntype=ethernet\n', {
    code: 'invalid-file-name',
  }),
  'one connection twice': flags(['--network', 'lan', '--network', 'sub/LAN'], 'same-connection-twice', {
    files: { lan: '[connection]\ntype=ethernet\n', 'sub/LAN': '[connection]\ntype=ethernet\n' },
  }),

  'a splash that is a JPEG': profile('splash: logo.png\n', ['/splash', 1, 1], {
    files: { 'logo.png': Buffer.from('ffd8ffe000104a46', 'hex') },
  }),
  'a splash that is cut off': profile('splash: logo.png\n', ['/splash', 1, 1], {
    files: { 'logo.png': makePng().subarray(0, -6) },
  }),
  'a splash of a size that no screen has': profile('splash: logo.png\n', ['/splash', 1, 1], {
    files: { 'logo.png': makePng(9000, 8) },
  }),
  'a udev rule for another folder': profile('udevRules:\n  ../evil: x\n', ['/udevRules/..~1evil', 2, 3]),
  'a udev rule that is no text': profile('udevRules:\n  a: [1]\n', ['/udevRules/a', 2, 3]),
  'a dispatcher script without an interpreter': profile(
    'dispatcherScripts: [hook]\n',
    ['/dispatcherScripts/0', 1, 21],
    {
      files: { hook: 'echo hello\n' },
    },
  ),
  'a dispatcher script from Windows': profile('dispatcherScripts: [hook]\n', ['/dispatcherScripts/0', 1, 21], {
    files: { hook: '#!/bin/sh\r\nexit 0\r\n' },
  }),
  'a dispatcher script of a name that FAT cannot have': profile(
    'dispatcherScripts: ["what?"]\n',
    ['/dispatcherScripts/0', 1, 21],
    { files: { 'what?': '#!/bin/sh\n' } },
  ),
  'two lines for config.txt in one': profile('configTxt:\n  - "a=1\\nb=2"\n', ['/configTxt/0', 2, 5]),
  'a comment for config.txt': profile('configTxt:\n  - gpu_mem=64\n  - "# mine"\n', ['/configTxt/1', 3, 5]),
  'config.txt in an image that has none': profile('configTxt: [gpu_mem=64]\n', undefined, {
    exitCode: 4,
    code: 'no-config-txt',
  }),
  'a proxy of a type that there is not': profile('proxy: { type: http, host: 10.0.0.1, port: 1 }\n', [
    '/proxy/type',
    1,
    10,
  ]),
  'a proxy with an IPv6 address': profile('proxy: { type: socks5, host: fd00::1, port: 1 }\n', ['/proxy/host', 1, 24]),
  'a proxy with a password and no login': profile(
    `proxy:\n  type: socks5\n  host: p\n  port: 1\n  password: ${secret}\n`,
    ['/proxy', 1, 1],
  ),
  'a proxy with a login and no password': profile(
    'proxy:\n  type: socks5\n  host: p\n  port: 1\n  login: me\n',
    ['/proxy', 1, 1],
    { says: /must have password/ },
  ),
  'half of a letter': network(['type: wifi', 'ssid: "x\\ud83d"', 'security: open'], ['/networks/office/ssid', 4, 5]),
  'aliases that multiply without bound': profile(
    `a: &a [x, x]\n${['b', 'c', 'd', 'e', 'f', 'g']
      .map((name, index) => `${name}: &${name} [${`*${'abcdef'.charAt(index)}, `.repeat(12)}x]\n`)
      .join('')}`,
    [''],
  ),
  'a profile without end': { ...flags(['--profile', '/dev/zero'], 'file-too-large') },
  'a proxy password of two lines': profile(
    `proxy:\n  type: socks5\n  host: p\n  port: 1\n  login: x\n  password: "${secret}\\nx"\n`,
    ['/proxy/password', 6, 3],
  ),

  'an image that is cut off': image('image-truncated', 5, {
    damage: ({ path: file, size }) => truncate(file, size - 10_000_000),
  }),
  'an image cut off inside of its boot partition': image('image-truncated', 5, {
    damage: ({ path: file }) => truncate(file, 6_000_000),
  }),
  'an image without a boot partition': image('boot-partition-not-found', 3, {
    image: { bootName: 'EFI', bootLabel: 'EFI', config: null, bootFiles: { 'device-type.json': null } },
  }),
  'an image whose config.json is not JSON': image('invalid-json', 5, {
    ...{ image: { config: `{\n "apiKey": "${secret}"\n "a": 1}` }, says: /line 3, column 2/ },
  }),
  'an image whose config.json is a list': image('invalid-json', 5, { image: { config: '[]' } }),
  'an image whose config.json is empty': image('invalid-json', 5, { image: { config: '' } }),
  'an image whose config.json is a folder': image('boot-path-taken', 4, {
    image: { config: null, bootFiles: { 'config.json/x': 'x' } },
  }),
  'an image with a file where a folder must be': image('boot-path-taken', 4, {
    ...{ words: [...inPlace, '--wifi-ssid', 'x', '--wifi-open'] },
    image: {
      bootFiles: {
        'system-connections/README.ignore': null,
        'system-connections/balena-sample.ignore': null,
        'system-connections': 'x',
      },
    },
  }),
  'an image whose boot partition is full': image('boot-partition-full', 4, {
    ...{ image: { fat: 12, bootSize: 1, bootFiles: { big: Buffer.alloc(990_000) } } },
    ...{
      words: [...inPlace, '--network', 'lan'],
      files: { lan: `[connection]\ntype=ethernet\n#${'x'.repeat(50_000)}\n` },
    },
  }),
  'an image whose boot partition is in a loop': image('file-system-damaged', 5, {
    ...{ image: { fat: 16, config: ' '.repeat(9000) + '{}' } },
    damage: loopConfig,
  }),
  'an image whose two partition tables are damaged': image('partition-table-damaged', 5, {
    damage: async ({ path: file, size }) => {
      await patch(file, 512 + 20, Buffer.alloc(4, 0xff));
      await patch(file, size - 512 + 20, Buffer.alloc(4, 0xff));
    },
  }),
};

/** Lets the clusters of config.json follow each other in a circle. */
async function loopConfig({ path: file, boot, bootAddress }: OsImage): Promise<void> {
  const shown = await checked(['mshowfat', '-i', bootAddress, '::/config.json']);
  const first = Number(/<(\d+)/.exec(shown)?.[1]);
  const handle = await open(file, 'r');
  const { buffer } = await handle.read(Buffer.alloc(512), 0, 512, boot.start);
  await handle.close();
  const tableAt = boot.start + buffer.readUInt16LE(14) * 512;
  const entry = Buffer.alloc(2);
  entry.writeUInt16LE(first);
  await patch(file, tableAt + first * 2, entry);
}

describe('os configure refuses', { concurrency: 2 }, () => {
  let shared = '';

  before(async () => {
    shared = await mkdtemp(path.join(tmpdir(), 'davit-bad-'));
    await makeOsImage(path.join(shared, 'device.img'), { dataSize: 12 });
    const openssl = (...words: string[]) => checked(['openssl', ...words]);
    const at = (name: string) => path.join(shared, name);
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', at('good.key')];
    await openssl('req', '-x509', ...key, '-subj', '/CN=a', '-out', at('good.pem'));
    await openssl('genpkey', '-algorithm', 'ed25519', '-out', at('other.key'));
  });

  after(() => rm(shared, { recursive: true }));

  for (const [what, input] of Object.entries(bad)) {
    it(what, async (t) => {
      const folder = await mkdtemp(path.join(tmpdir(), 'davit-bad-'));
      t.after(() => rm(folder, { recursive: true }));
      const file = path.join(folder, 'device.img');
      if (input.image === undefined && input.damage === undefined) {
        await checked(['cp', '--sparse=always', path.join(shared, 'device.img'), file]);
      } else {
        const made = await makeOsImage(file, { dataSize: 12, ...input.image });
        await input.damage?.(made);
      }
      for (const name of ['good.pem', 'other.key']) await copyFile(path.join(shared, name), path.join(folder, name));
      await symlink('absent.img', path.join(folder, 'dangling.img'));
      await mkdir(path.join(folder, 'folder'));
      await writeTree(folder, input.files ?? {});
      const untouched = await hashesOfFiles(folder);

      const { exitCode, document, stderr } = await davitJson(['os', 'configure', ...input.words], {
        ...{ cwd: folder, input: input.input ?? '', environment: { ...input.environment } },
      });

      const shown = JSON.stringify(document) + stderr;
      assert.ok(isRecord(document) && isRecord(document.error), shown);
      const { error } = document;
      assert.deepEqual([exitCode, error.code, error.exitCode], [input.exitCode, input.code, input.exitCode], shown);
      assert.ok(typeof error.hint === 'string' && error.hint.length > 10, 'a failure has a hint');
      assert.ok(!shown.includes(secret), 'a secret is shown');
      if (input.says !== undefined) assert.match(String(error.message), input.says);
      if (input.at !== undefined) {
        const [pointer, line, column] = input.at;
        const problem: unknown = Array.isArray(error.problems) ? error.problems[0] : undefined;
        assert.ok(isRecord(problem), shown);
        assert.equal(problem.pointer, pointer, shown);
        if (line !== undefined) assert.equal(problem.line, line, shown);
        if (column !== undefined) assert.equal(problem.column, column, shown);
      }
      assert.deepEqual(await hashesOfFiles(folder), untouched, 'what was there is there, and nothing else');
    });
  }

  it('all of this with more than 60 kinds of input', async () => {
    assert.ok(Object.keys(bad).length >= 60);
    assert.ok((await readFile(path.join(shared, 'device.img'))).length > 0);
  });
});
