import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { type Network, networkDataShape } from '../../../src/lib/boot-config/network.js';
import { networkFiles } from '../../../src/lib/boot-config/network-files.js';
import { proxyFiles, proxyShape } from '../../../src/lib/boot-config/proxy.js';
import { fits } from '../../../src/lib/boot-config/shape.js';
import { rounds } from '../../support/campaign.js';
import { runProgram } from '../../support/davit.js';
import { networkManagerMissing, readAsNetworkManager } from '../../support/network-manager.js';
import { redsocksMissing } from '../../support/programs.js';
import { type SeededRandom, seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

/** What key files, redsocks.conf or C use for something else, and what is no letter. */
const nasty = Array.from(
  ' \t\\;=#[]{}"\'$`%,/*<>&|~:@!?()^+-_.\u0001\u001b\u007f\u0085\u00a0\u2028\ufeffasntr0123üß日😀',
);

function randomText(random: SeededRandom, most: number): string {
  const from = random.below(3);
  const letter = () =>
    from === 0 ? random.pick(nasty) : String.fromCharCode(32 + random.below(from === 1 ? 95 : 700));
  return Array.from({ length: 1 + random.below(most) }, letter).join('');
}

/** A container of a certificate and its key under a password, as far as it is looked into here (RFC 7292). */
const bundle = Buffer.from('3003020103', 'hex');

describe('any text that a network may have', { skip: networkManagerMissing() }, () => {
  test('is what NetworkManager reads', async () => {
    const random = seededRandom(11);
    const text = () => randomText(random, 40);
    const wanted: unknown[] = [];
    const files = [];
    for (let round = 0; round < rounds(600, 10_000); round += 1) {
      const login = { identity: text(), anonymousIdentity: text(), domain: text() };
      const file = { clientCertificateFile: 'x', privateKeyFile: 'x', privateKeyPassword: text() };
      const networks: readonly Network[] = [
        { type: 'wifi', ssid: 'x', enterprise: { method: 'peap', ...login, password: text() } },
        { type: 'ethernet', enterprise: { method: 'tls', ...login, ...file } },
        { type: 'cellular', apn: 'x', user: text(), password: text() },
        { type: 'wifi', ssid: 'x', security: 'wpa3', key: text() },
      ];
      const network = random.pick(networks);
      assert.deepEqual(networkDataShape.problems(network, []), [], JSON.stringify(network));
      const [keyfile] = await networkFiles('test', network, () => Promise.resolve(bundle));
      assert.ok(keyfile);
      files.push(keyfile);
      wanted.push(textsOf(network));
    }
    const read = readAsNetworkManager(files).map(({ settings, error }) => {
      const { '802-1x': login, gsm, '802-11-wireless-security': security } = settings ?? {};
      const all = {
        identity: login?.identity,
        anonymousIdentity: login?.['anonymous-identity'],
        domain: login?.['domain-suffix-match'],
        privateKeyPassword: login?.['private-key-password'],
        password: login?.password ?? gsm?.password,
        user: gsm?.username,
        key: security?.psk,
      };
      return error ?? Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
    });
    assert.deepEqual(read, wanted);
  });
});

function textsOf(network: Network): unknown {
  if ('enterprise' in network) {
    const { identity, anonymousIdentity, domain, privateKeyPassword, password } = network.enterprise;
    const all = { identity, anonymousIdentity, domain, privateKeyPassword, password };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  }
  if (network.type === 'cellular') return { password: network.password, user: network.user };
  return network.type === 'wifi' ? { key: network.key } : {};
}

test('half of a letter, which has no bytes, is refused', () => {
  assert.equal(fits(networkDataShape, { type: 'wifi', ssid: 'x\ud83d', security: 'open' }), false);
  assert.equal(fits(networkDataShape, { type: 'wifi', ssid: 'x😀', security: 'open' }), true);
});

/** Starts redsocks with a configuration, stands in for its proxy, and prints the logins that the connections through it bring. */
const askRedsocks = `
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { createInterface } from 'node:readline';
const [configuration, count] = process.argv.slice(1);
const logins = [];
const answer = (socket) => {
  let bytes = Buffer.alloc(0);
  let isChosen = false;
  socket.on('error', () => undefined).on('data', (data) => {
    bytes = Buffer.concat([bytes, data]);
    const methods = bytes[1];
    if (!isChosen && bytes.length >= 2 + methods) {
      const takesPassword = bytes.subarray(2, 2 + methods).includes(2);
      if (!takesPassword) logins.push(null);
      socket[takesPassword ? 'write' : 'end'](Buffer.from([5, takesPassword ? 2 : 255]));
      isChosen = true;
      bytes = bytes.subarray(2 + methods);
    }
    const login = bytes[1];
    const password = bytes[2 + login];
    if (!isChosen || password === undefined || bytes.length < 3 + login + password) return;
    logins.push([String(bytes.subarray(2, 2 + login)), String(bytes.subarray(3 + login, 3 + login + password))]);
    socket.end(Buffer.from([1, 1]));
  });
};
const server = net.createServer(answer).listen(1080, '127.0.0.1');
const redsocks = spawn('redsocks', ['-c', configuration], { stdio: ['ignore', 'ignore', 'pipe'] });
for await (const line of createInterface({ input: redsocks.stderr })) {
  if (line.includes('redsocks started')) break;
}
redsocks.stderr.resume();
for (let index = 0; index < Number(count); index += 1) {
  const socket = net.connect(20_000 + index, '127.0.0.1').on('error', () => undefined);
  await once(socket, 'close');
}
console.log(JSON.stringify(logins));
redsocks.kill();
server.close();
`;

const needsRoot = process.getuid?.() === 0 ? false : 'a network of its own needs root on Linux';

describe('any login of a proxy', () => {
  test('is what redsocks logs in with', { skip: redsocksMissing || needsRoot }, async (t) => {
    const random = seededRandom(12);
    const count = rounds(60, 300);
    const logins = Array.from({ length: count }, () => [randomText(random, 60), randomText(random, 60)] as const);
    const blocks = logins.map(([login, password], index) => {
      const proxy = { type: 'socks5', host: '127.0.0.1', port: 1080, login, password } as const;
      assert.deepEqual(proxyShape.problems(proxy, []), []);
      const text = String(proxyFiles(proxy)[0]?.content);
      // Its own port for each, and connections to that instead of redirected ones.
      return text
        .replace('local_port = 12345', `local_port = ${20_000 + index}`)
        .slice(index === 0 ? 0 : text.indexOf('redsocks {'));
    });
    const configuration = path.join(await temporaryFolder(t), 'redsocks.conf');
    await writeFile(configuration, blocks.join('\n').replace('redirector = iptables', 'redirector = generic'));
    const inOwnNetwork = ['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'];
    const script = [process.execPath, '--input-type=module', '--eval', askRedsocks, configuration, String(count)];
    const { stdout, stderr } = await runProgram(script, { wrapper: inOwnNetwork });
    assert.deepEqual(JSON.parse(stdout), logins, stderr);
  });

  const proxy = { type: 'socks5', host: '10.0.0.1', port: 1080 } as const;
  const useless: readonly (readonly [string, unknown])[] = [
    ['a login without a password, which redsocks does not use', { ...proxy, login: 'me' }],
    ['a login without a password for HTTP', { ...proxy, type: 'http-connect', login: 'me' }],
    ['more than SOCKS has room for', { ...proxy, login: 'é'.repeat(128), password: 'x' }],
    ['a password that is too long for SOCKS', { ...proxy, login: 'me', password: 'x'.repeat(256) }],
    ['a colon in a login for HTTP, which ends it there', { ...proxy, type: 'http-relay', login: 'a:b', password: 'x' }],
  ];
  for (const [what, value] of useless) {
    test(`is refused with ${what}`, () => {
      assert.equal(fits(proxyShape, value), false);
    });
  }

  test('may be a name alone for SOCKS 4', () => {
    assert.ok(fits(proxyShape, { ...proxy, type: 'socks4', login: 'me' }));
  });
});
