import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import path from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { Account } from '../../src/lib/fleet/account.js';
import { AccountStore } from '../../src/lib/fleet/account-store.js';
import { accountAt, type StandInDevice, startCloud } from '../support/cloud.js';
import { davit, type DavitOptions, startDavit, watchDavit } from '../support/davit.js';
import { seededRandom } from '../support/seeded-random.js';
import { freePort, type SshServer, sshServerSkipReason, startSshServer } from '../support/ssh-server.js';
import { startSshProxy } from '../support/ssh-proxy.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const uuid = '63ec46c14d6bb1ee1ed1eb7a8e05ce0d';
const skip = sshServerSkipReason();

// Most of them wait for somebody who does not answer.
describe('a device behind the cloud', { skip, concurrency: 6 }, () => {
  let server: SshServer;
  let stranger: SshServer;
  before(async () => {
    [server, stranger] = await Promise.all([
      startSshServer({ configJson: { uuid }, configuration: ['Subsystem sftp internal-sftp'] }),
      startSshServer({ configJson: { uuid: 'f'.repeat(32) } }),
    ]);
  });
  after(() => Promise.all([server.close(), stranger.close()]));

  const crane = (changes: Partial<StandInDevice> = {}): StandInDevice => ({
    uuid,
    name: 'crane',
    isConnected: true,
    seenAt: '2026-02-03T04:05:06.789Z',
    ports: { 22222: server.port },
    ...changes,
  });

  /** A user with a cloud of their own, who is logged in. */
  async function user(t: TestContext, changes: Partial<Account> = {}) {
    const folder = await temporaryFolder(t);
    const cloud = await startCloud(t);
    cloud.devices = [crane()];
    await new AccountStore(path.join(folder, 'accounts.json')).add(accountAt(cloud, changes));
    const environment = {
      HOME: folder,
      DAVIT_DATA_DIR: folder,
      NODE_EXTRA_CA_CERTS: cloud.certificateFile,
      SSH_AUTH_SOCK: undefined,
      BALENA_API_KEY: undefined,
      DAVIT_ACCOUNT: undefined,
    };
    return { cloud, folder, options: { environment } };
  }

  const key = (one = server) => ['--identity', one.identityFile];
  const ssh = (name: string, ...words: string[]) => ['ssh', name, ...key(), '--via', 'cloud', ...words];

  const json = async (words: readonly string[], options: DavitOptions) => {
    const result = await davit([...words.slice(0, 2), '--json', ...words.slice(2)], options);
    const { error = {} } = JSON.parse(result.stdout) as { error?: { code?: string; message?: string; hint?: string } };
    return { ...error, exitCode: result.exitCode, stderr: result.stderr };
  };

  it('is reached through the tunnel service when it is not in this network, and that is told', async (t) => {
    const { cloud, options } = await user(t);
    const words = ['ssh', uuid, ...key(), '--', 'echo out; echo err >&2; exit 42'];
    const first = await davit(words, options);
    assert.equal(first.exitCode, 42, first.stderr);
    assert.equal(first.stdout, 'out\n');
    const { stdout } = await davit(['ssh', '--json', 'crane', ...key(), '--via', 'cloud', '--', 'true'], options);
    const document: unknown = JSON.parse(stdout);
    const expected = {
      version: 1,
      device: 'crane',
      address: `${uuid}.balena`,
      via: 'cloud',
      service: null,
      exitCode: 0,
    };
    assert.deepEqual(document, expected);
    assert.match(
      first.stderr,
      /crane \(63ec46c\) does not answer here; reaching it through the tunnel service of work/,
    );
    assert.deepEqual(
      cloud.asked.slice(0, 2).map((one) => one.split(' ').slice(0, 2).join(' ').split('?')[0]),
      ['GET /v7/device', `CONNECT ${uuid}.balena:22222`],
    );
  });

  it('passes a megabyte of any bytes in and out unchanged', async (t) => {
    const { options } = await user(t);
    const bytes = seededRandom(11).bytes(1_000_000);
    const child = startDavit(ssh(uuid, '--', 'cat'), options);
    child.stdin?.end(bytes);
    assert.ok(child.stdout !== null);
    assert.ok((await buffer(child.stdout)).equals(bytes));
  });

  it('is found by the beginning of its UUID and by its name in the cloud', async (t) => {
    const { cloud, options } = await user(t);
    cloud.devices.push(crane({ uuid: `${'a'.repeat(31)}b`, name: "it's another" }));
    for (const name of ['63ec4', 'crane', uuid.toUpperCase()]) {
      assert.equal((await davit(ssh(name, '--', 'true'), options)).exitCode, 0, name);
    }
  });

  it('is never guessed: several that a word can mean are listed', async (t) => {
    const { cloud, options } = await user(t);
    cloud.devices.push(crane({ uuid: `63ec4${'0'.repeat(27)}`, name: 'truck' }));
    for (const words of [ssh('63ec4', '--', 'true'), ['ssh', '63ec4', ...key(), '--', 'true']]) {
      const { code, exitCode, message = '' } = await json(words, options);
      assert.deepEqual([code, exitCode], ['device-ambiguous', 2]);
      assert.match(message, /crane.*63ec46c[^]*truck.*63ec4000/);
    }
  });

  it('is no other one, whatever the cloud answers', async (t) => {
    const { cloud, options } = await user(t);
    const body = JSON.stringify({ d: [{ uuid: 'b'.repeat(32), device_name: 'truck', is_connected_to_vpn: true }] });
    cloud.answer = { status: 200, body };
    for (const name of [uuid, 'crane', '63ec4']) {
      const { code, exitCode } = await json(ssh(name, '--', 'true'), options);
      assert.deepEqual([code, exitCode], ['device-not-found', 3], name);
    }
  });

  it('is pinned under its UUID, wherever it is met, and a stranger with another key is refused', async (t) => {
    const { cloud, folder, options } = await user(t);
    await davit(ssh('crane', '--', 'true'), options);
    const [line = ''] = (await readFile(path.join(folder, 'known_hosts'), 'utf8')).split('\n');
    assert.equal(line, `${uuid} ${await server.hostKey()}`);
    cloud.devices = [crane({ ports: { 22222: stranger.port } })];
    const { code, exitCode } = await json(['ssh', uuid, '--via', 'cloud', ...key(stranger), '--', 'true'], options);
    assert.deepEqual([code, exitCode], ['host-key-changed', 4]);
  });

  it('is refused when it says itself that it is another one', async (t) => {
    const { cloud, options } = await user(t);
    cloud.devices = [crane({ ports: { 22222: stranger.port } })];
    const { code, exitCode } = await json(['ssh', uuid, '--via', 'cloud', ...key(stranger), '--', 'true'], options);
    assert.deepEqual([code, exitCode], ['other-device', 4]);
  });

  describe('that is in this network too', () => {
    /** Makes davit know the device by an address of this computer. */
    async function near(folder: string, changes: object) {
      const device = { uuid, aliases: [], hostname: null, addresses: ['127.0.0.1'], ...changes };
      await writeFile(path.join(folder, 'devices.json'), JSON.stringify({ version: 1, devices: [device] }));
    }

    it('is reached there, and the cloud hears nothing of it', async (t) => {
      const { cloud, folder, options } = await user(t);
      await near(folder, { sshPort: server.port, hostKey: await server.hostFingerprint() });
      const { exitCode, stderr } = await davit(['ssh', uuid, ...key(), '--', 'true'], options);
      assert.equal(exitCode, 0, stderr);
      assert.deepEqual(cloud.asked, []);
    });

    it('is reached through the cloud when nothing listens there any more', async (t) => {
      const { cloud, folder, options } = await user(t);
      await near(folder, { sshPort: await freePort(), hostKey: await server.hostFingerprint() });
      const local = await json(['ssh', uuid, ...key(), '--via', 'local', '--', 'true'], options);
      assert.ok(local.exitCode === 3 || local.exitCode === 6);
      assert.deepEqual(cloud.asked, []);
      const { exitCode, stderr } = await davit(['ssh', uuid, ...key(), '--', 'true'], options);
      assert.equal(exitCode, 0, stderr);
      assert.match(stderr, /through the tunnel service/);
    });

    it('is reached through the cloud when somebody else has its last address now', async (t) => {
      const { folder, options } = await user(t);
      await davit(ssh(uuid, '--', 'true'), options);
      await near(folder, { sshPort: stranger.port, hostKey: await server.hostFingerprint() });
      const { exitCode, stderr } = await davit(['ssh', uuid, ...key(), '--', 'true'], options);
      assert.equal(exitCode, 0, stderr);
      assert.match(stderr, /does not answer here; reaching it through the tunnel service/);
    });

    it('gets no token, whoever it is that answers', async (t) => {
      const { cloud, folder, options } = await user(t);
      const heard: Buffer[] = [];
      const listener = createServer((socket) => {
        socket.on('data', (bytes) => heard.push(bytes)).on('error', () => undefined);
        socket.write('SSH-2.0-OpenSSH_9.2p1\r\n');
        setTimeout(() => socket.destroy(), 300);
      }).listen(0, '127.0.0.1');
      await once(listener, 'listening');
      t.after(() => listener.close());
      const { port = 0 } = listener.address() as { port?: number };
      await near(folder, { sshPort: port, hostKey: await server.hostFingerprint() });
      const ports = ['--engine-port', String(port)];
      await davit(['ssh', uuid, ...key(), ...ports, '--', 'true'], options);
      await davit(['logs', uuid, ...key(), ...ports], options);
      assert.ok(heard.length > 0);
      const all = Buffer.concat(heard).toString('latin1');
      const login = Buffer.from(`${cloud.userName}:${cloud.token}`).toString('base64');
      assert.ok(!all.includes(cloud.token) && !all.includes(login));
    });
  });

  it('shows the token in no command line and in nothing that davit says', async (t) => {
    const { cloud, options } = await user(t);
    const watched = watchDavit(ssh(uuid, '--', 'sleep 0.5; tr "\\\\0" " " < /proc/$$/environ'), options);
    const seen: string[] = [];
    while (watched.child.exitCode === null) {
      const pid = String(watched.child.pid);
      const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
      for (const one of [pid, ...children.trim().split(' ')]) {
        seen.push(await readFile(`/proc/${one}/cmdline`, 'utf8').catch(() => ''));
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const { stdout, stderr } = await watched.result;
    assert.ok(seen.some((line) => line.includes(uuid)));
    assert.ok(!(seen.join('') + stdout + stderr).includes(cloud.token));
  });

  it('that is offline is told at once, with since when, and is the error when it is not in this network either', async (t) => {
    const { cloud, options } = await user(t);
    cloud.devices = [crane({ isConnected: false })];
    for (const words of [['ssh', uuid, ...key(), '--', 'true'], ssh(uuid, '--', 'true')]) {
      const { code, exitCode, message = '', stderr } = await json(words, options);
      assert.deepEqual([code, exitCode], ['device-offline', 6]);
      assert.match(message, /crane \(63ec46c\) is offline, last online 2026-02-03/);
      assert.equal(/is offline.*, says https:/.test(stderr), !words.includes('--via'));
    }
  });

  it('is not looked for without a login, which the error tells of', async (t) => {
    const { cloud, folder, options } = await user(t);
    await writeFile(path.join(folder, 'accounts.json'), '{"version":1,"current":null,"accounts":[]}');
    const near = await json(['ssh', uuid, ...key(), '--', 'true'], options);
    assert.deepEqual([near.code, near.exitCode], ['device-not-found', 3]);
    assert.match(near.hint ?? '', /davit login/);
    const far = await json(ssh(uuid, '--', 'true'), options);
    assert.deepEqual([far.code, far.exitCode], ['not-logged-in', 7]);
    assert.deepEqual(cloud.asked, []);
  });

  it('is not found when the account has no such device', async (t) => {
    const { cloud, options } = await user(t);
    cloud.devices = [];
    const { code, exitCode } = await json(ssh(uuid, '--', 'true'), options);
    assert.deepEqual([code, exitCode], ['device-not-found', 3]);
  });

  it('tells that the token has expired, and goes on looking in this network', async (t) => {
    const { options } = await user(t, { token: 'expired' });
    const far = await json(ssh(uuid, '--', 'true'), options);
    assert.deepEqual([far.code, far.exitCode], ['login-refused', 7]);
    assert.match(far.hint ?? '', /davit login/);
    const near = await json(['ssh', uuid, ...key(), '--', 'true'], options);
    assert.equal(near.code, 'device-not-found');
    assert.match(near.stderr, /has expired/);
  });

  for (const [what, fault, code, exitCode] of [
    ['denies access', { status: 407 }, 'tunnel-denied', 7],
    ['says that the device is away', { status: 503 }, 'device-offline', 6],
    ['cannot connect to it', { status: 500 }, 'tunnel-failed', 6],
    ['does not understand us', { status: 400 }, 'tunnel-failed', 6],
    ['cuts the connection', 'cut', 'connection-cut', 6],
    ['is none', 'not-http', 'cloud-answer', 5],
    ['says nothing', 'silence', 'timeout', 6],
  ] as const) {
    it(`is out of reach when the tunnel service ${what}`, async (t) => {
      const { cloud, options } = await user(t);
      cloud.tunnelFault = fault;
      const failure = await json(ssh(uuid, '--', 'true'), options);
      assert.deepEqual([failure.code, failure.exitCode], [code, exitCode], JSON.stringify(failure));
    });
  }

  it('gives and takes files like one in this network', async (t) => {
    const { folder, options } = await user(t);
    const [there, here, back] = ['there', 'here', 'back'].map((name) => path.join(folder, name));
    const bytes = seededRandom(12).bytes(300_000);
    await writeFile(String(here), bytes);
    const route = [...key(), '--via', 'cloud'];
    const up = await davit(['cp', String(here), `${uuid}:${String(there)}`, ...route], options);
    assert.equal(up.exitCode, 0, up.stderr);
    const down = await davit(['cp', `crane:${String(there)}`, String(back), ...route], options);
    assert.equal(down.exitCode, 0, down.stderr);
    assert.ok((await readFile(String(back))).equals(bytes));
  });

  it('keeps tunnels open when the way through the cloud breaks', async (t) => {
    const { cloud, options } = await user(t);
    const echo = createServer((socket) => socket.end('hello from the device')).listen(0, '127.0.0.1');
    await once(echo, 'listening');
    t.after(() => echo.close());
    const { port = 0 } = echo.address() as { port?: number };
    const watched = watchDavit(['tunnel', uuid, `0:${port}`, ...key(), '--via', 'cloud'], options);
    t.after(() => watched.child.kill('SIGKILL'));
    const local = Number((await until(watched.output, /127\.0\.0\.1:(\d+) ->/))[1]);
    const ask = () => text(connect(local, '127.0.0.1'));
    assert.equal(await ask(), 'hello from the device');
    cloud.cutTunnels();
    await until(watched.output, /Connected again/);
    assert.equal(await ask(), 'hello from the device');
    watched.child.kill('SIGINT');
    assert.equal((await watched.result).exitCode, 130);
  });

  it('lets other programs in through davit', async (t) => {
    const { options } = await user(t);
    const child = startDavit(['ssh', '--stdio', '--via', 'cloud', uuid], options);
    t.after(() => child.kill('SIGKILL'));
    assert.ok(child.stdout !== null);
    const [greeting] = (await once(child.stdout, 'data')) as [Buffer];
    assert.match(greeting.toString(), /^SSH-2\.0-/);
  });

  it('is asked to let the user of the account in when it does not let root in, here and through the cloud', async (t) => {
    // Who has a key there need not have a shell.
    const device = await startSshServer({ configJson: { uuid }, configuration: ['PermitRootLogin no'] });
    t.after(device.close);
    const { cloud, options } = await user(t, { userName: 'nobody' });
    Object.assign(cloud, { userName: 'nobody', devices: [crane({ ports: { 22222: device.port } })] });
    const accepted = () => device.log().match(/Accepted publickey for nobody/g)?.length ?? 0;
    await davit(['ssh', uuid, ...key(device), '--via', 'cloud', '--', 'true'], options);
    assert.equal(accepted(), 1, device.log());
    await davit(['ssh', '127.0.0.1', '--port', String(device.port), ...key(device), '--', 'true'], options);
    assert.equal(accepted(), 2, device.log());
    const asRoot = await json(['ssh', `root@${uuid}`, ...key(device), '--via', 'cloud', '--', 'true'], options);
    assert.deepEqual([asRoot.code, accepted()], ['ssh-login-refused', 2]);
  });

  it('is reached through the proxy of an office, which leads to nothing else', async (t) => {
    const { cloud, options } = await user(t);
    const port = (of: string) => Number(of.split(':').at(-1));
    const hosts = new Map([
      ['api.cloud.test:443', port(cloud.apiUrl)],
      ['tunnel.cloud.test:443', port(cloud.tunnel)],
    ]);
    const asked: string[] = [];
    const office = createHttpServer().on('connect', ({ url = '' }, client: Socket) => {
      asked.push(url);
      const there = connect(hosts.get(url) ?? 1, '127.0.0.1', () => {
        client.write('HTTP/1.1 200 OK\r\n\r\n');
        client.pipe(there).pipe(client);
      });
      for (const socket of [client, there]) socket.on('error', () => client.destroy());
    });
    office.listen(0, '127.0.0.1');
    await once(office, 'listening');
    t.after(() => office.close());
    const { port: proxyPort = 0 } = office.address() as { port?: number };
    const environment = {
      ...options.environment,
      https_proxy: `http://127.0.0.1:${proxyPort}`,
      BALENA_API_KEY: cloud.token,
      BALENARC_BALENA_URL: 'cloud.test',
    };
    const { exitCode, stderr } = await davit(ssh('crane', '--', 'exit 5'), { environment });
    assert.equal(exitCode, 5, stderr);
    assert.deepEqual(asked, [...hosts.keys()]);
  });

  it('ends a command at once when the way through the cloud breaks', async (t) => {
    const { cloud, options } = await user(t);
    const watched = watchDavit(ssh(uuid, '--', 'echo started; sleep 1000'), options);
    await until(watched.output, /started/);
    cloud.cutTunnels();
    const { exitCode, stderr } = await watched.result;
    assert.equal(exitCode, 6);
    assert.match(stderr, /was lost/);
  });

  it('is given up within seconds when the API says nothing', async (t) => {
    const { cloud, options } = await user(t);
    cloud.answer = 'silence';
    const near = await json(['ssh', uuid, ...key(), '--', 'true'], { ...options, timeoutMs: 20_000 });
    assert.deepEqual([near.code, near.exitCode], ['device-not-found', 3]);
    assert.match(near.stderr, /does not answer within 8 s/);
  });

  it('lets go at once on Ctrl-C, even of a service that says nothing', async (t) => {
    const { cloud, options } = await user(t);
    cloud.tunnelFault = 'silence';
    const watched = watchDavit(ssh(uuid, '--', 'true'), options);
    await until(() => cloud.asked.join('\n'), /^CONNECT/m);
    const start = performance.now();
    watched.child.kill('SIGINT');
    assert.equal((await watched.result).exitCode, 130);
    assert.ok(performance.now() - start < 5000);
  });

  it('is never looked for by an address in the cloud', async (t) => {
    const { cloud, options } = await user(t);
    for (const name of ['127.0.0.1', 'crane.local', 'localhost', '::1']) {
      const { code, exitCode } = await json(ssh(name, '--', 'true'), options);
      assert.deepEqual([code, exitCode], ['not-a-cloud-name', 2], name);
    }
    assert.deepEqual(cloud.asked, []);
  });

  describe('whose own SSH server does not know the user', () => {
    const proxyFor = async (t: TestContext) => {
      const proxy = await startSshProxy({ userName: 'lea', identityFile: server.wrongIdentityFile, uuid });
      t.after(proxy.close);
      return proxy;
    };
    const strange = () => ['--identity', server.wrongIdentityFile, '--via', 'cloud'];

    it('is asked to let the user of the account in, and the SSH proxy then', async (t) => {
      const proxy = await proxyFor(t);
      const { folder, options } = await user(t, { sshProxy: proxy });
      const { exitCode, stdout, stderr } = await davit(
        ['ssh', uuid, ...strange(), '--', 'echo "a  b"; exit 7'],
        options,
      );
      assert.deepEqual([exitCode, stdout], [7, 'a  b\n'], stderr);
      assert.match(stderr, /going through the SSH proxy 127\.0\.0\.1/);
      assert.deepEqual(proxy.asked, [`lea: host ${uuid} echo "a  b"; exit 7`]);
      assert.match(server.log(), /(Invalid user|invalid user|Connection closed by .*) lea/);
      const pins = await readFile(path.join(folder, 'known_hosts'), 'utf8');
      assert.match(pins, /^\[127\.0\.0\.1\]:\d+ ssh-ed25519 /m);
      // The key of the proxy is that of no device.
      const { devices } = JSON.parse(await readFile(path.join(folder, 'devices.json'), 'utf8')) as {
        devices: object[];
      };
      assert.deepEqual(
        devices.map((one) => Object.entries(one).filter(([name]) => /^(uuid|hostKey)$/.test(name))),
        [Object.entries({ uuid, hostKey: null })],
      );
    });

    it('takes bytes unchanged and a shell from standard input there', async (t) => {
      const { options } = await user(t, { sshProxy: await proxyFor(t) });
      const bytes = seededRandom(13).bytes(1_000_000);
      const child = startDavit(['ssh', uuid, ...strange(), '--', 'cat'], options);
      child.stdin?.end(bytes);
      assert.ok(child.stdout !== null);
      assert.ok((await buffer(child.stdout)).equals(bytes));
      const shell = await davit(['ssh', uuid, ...strange()], { ...options, input: 'echo hello\nexit 9\n' });
      assert.deepEqual([shell.exitCode, shell.stdout], [9, 'hello\n']);
    });

    it('has its files out of reach there, which is said', async (t) => {
      const { folder, options } = await user(t, { sshProxy: await proxyFor(t) });
      const words = ['cp', `${uuid}:/etc/hostname`, path.join(folder, 'x'), ...strange()];
      const { code, exitCode } = await json(words, options);
      assert.deepEqual([code, exitCode], ['beyond-proxy', 4]);
    });

    it('stays closed on an openBalena, which has no SSH proxy', async (t) => {
      const { options } = await user(t);
      const { code, exitCode, message = '' } = await json(['ssh', uuid, ...strange(), '--', 'true'], options);
      assert.deepEqual([code, exitCode], ['ssh-login-refused', 7]);
      assert.match(message, /lea/);
    });
  });
});

/** Waits until a text has something, and gives it. */
async function until(read: () => string, pattern: RegExp): Promise<RegExpExecArray> {
  for (;;) {
    const found = pattern.exec(read());
    if (found !== null) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
