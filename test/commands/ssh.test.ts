import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, it, type TestContext } from 'node:test';
import { run, runChecked } from '../../src/lib/platform/child-process.js';
import { hostKeyFile, HostKeyStore } from '../../src/lib/ssh/host-key-store.js';
import { davit, type DavitOptions, startDavit } from '../support/davit.js';
import { hostKeyFrom } from '../support/host-key.js';
import { createNetwork, networkSkipReason } from '../support/network-namespace.js';
import { seededRandom } from '../support/seeded-random.js';
import { freePort, type SshServer, sshServerSkipReason, startSshServer } from '../support/ssh-server.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { userHome } from '../support/user-home.js';

const skip = sshServerSkipReason();
const skipNetwork = { skip: networkSkipReason() };

describe('davit ssh', { skip }, () => {
  let server: SshServer;
  before(async () => {
    server = await startSshServer();
  });
  after(() => server.close());

  const to = (one: SshServer, ...words: string[]) => [
    ...['ssh', '127.0.0.1', '--port', String(one.port), '--identity', one.identityFile],
    ...words,
  ];

  describe('running a command', () => {
    for (const [name, line, exitCode] of [
      ['that succeeds', 'true', 0],
      ['that fails', 'false', 1],
      ['with an exit code of its own', 'exit 42', 42],
      ['that a signal ends', 'kill -TERM $$', 143],
      ['that does not exist', 'no-such-program-here', 127],
    ] as const) {
      it(`ends with the exit code of a command ${name}`, async (t) => {
        const result = await davit(to(server, '--', line), await userHome(t));
        assert.equal(result.exitCode, exitCode);
      });
    }

    it('keeps standard output and standard error apart', async (t) => {
      const home = await userHome(t);
      await davit(to(server, '--', 'true'), home);
      const result = await davit(to(server, '--', 'echo out; echo err >&2'), home);
      assert.deepEqual([result.stdout, result.stderr], ['out\n', 'err\n']);
    });

    it('hands several words over as a program and its arguments, unchanged', async (t) => {
      const words = ['a b', "it's", '$HOME', '*', '', '"', '\\', 'line\nbreak', '--json', '-h', 'ü'];
      const result = await davit(to(server, '--', 'printf', '<%s>', ...words), await userHome(t));
      assert.equal(result.stdout, words.map((word) => `<${word}>`).join(''));
    });

    it('hands a single word over as a line for the remote shell', async (t) => {
      const result = await davit(to(server, '--', 'echo one two | wc -w'), await userHome(t));
      assert.equal(result.stdout.trim(), '2');
    });

    it('passes 20 MB of any bytes in and out unchanged', async (t) => {
      const bytes = seededRandom(7).bytes(20_000_000);
      const child = startDavit(to(server, '--', 'cat'), await userHome(t));
      child.stdin?.end(bytes);
      const [echoed] = await Promise.all([buffer(outputOf(child)), exitCodeOf(child)]);
      assert.equal(sha256(echoed), sha256(bytes));
    });

    it('loses nothing when whoever reads its output is slow', async (t) => {
      const child = startDavit(to(server, '--', 'head -c 20000000 /dev/zero'), await userHome(t));
      const output = outputOf(child);
      await once(output, 'readable');
      // Long enough for every buffer on the way to fill up.
      await new Promise((resolve) => setTimeout(resolve, 500));
      assert.equal((await buffer(output)).length, 20_000_000);
    });

    it('ends when the command does, although its input goes on', async (t) => {
      const child = startDavit(to(server, '--', 'head -c 3'), await userHome(t));
      child.stdin?.write('abcdef');
      const [output] = await Promise.all([buffer(outputOf(child)), exitCodeOf(child)]);
      assert.equal(output.toString(), 'abc');
      child.stdin?.end();
    });

    it('ends when whoever reads its output has gone', async (t) => {
      const child = startDavit(to(server, '--', 'cat /dev/zero'), await userHome(t));
      const output = outputOf(child);
      output.once('data', () => output.destroy());
      assert.equal(await exitCodeOf(child), 141);
    });

    it('gives the command no terminal unless asked', async (t) => {
      const home = await userHome(t);
      assert.equal((await davit(to(server, '--', 'tty'), home)).exitCode, 1);
      assert.match((await davit(to(server, '--tty', '--', 'tty'), home)).stdout, /^\/dev\/pts\//);
    });

    it('runs what is piped in when there is no command', async (t) => {
      const result = await davit(to(server), { ...(await userHome(t)), input: 'echo hello\nexit 9\n' });
      assert.deepEqual([result.exitCode, result.stdout], [9, 'hello\n']);
    });

    it('prints the exit code as the result of --json and the output on standard error', async (t) => {
      const home = await userHome(t);
      const result = await davit(to(server, '--json', '--', 'echo said; exit 3'), home);
      const device = { device: '127.0.0.1', address: '127.0.0.1', via: 'local' };
      assert.deepEqual(JSON.parse(result.stdout), { version: 1, ...device, service: null, exitCode: 3 });
      assert.equal(result.exitCode, 3);
      assert.match(result.stderr, /^said$/m);
      assert.equal((await davit(to(server, '--json'), home)).exitCode, 2);
    });

    it('ends with 130 on Ctrl-C, and the remote command ends too', async (t) => {
      const mark = path.join(await temporaryFolder(t), 'pid');
      const line = `echo $$ > ${mark}; echo started; sleep 1000`;
      const child = startDavit(to(server, '--', line), await userHome(t));
      await once(outputOf(child), 'data');
      child.kill('SIGINT');
      assert.equal(await exitCodeOf(child), 130);
      const pid = Number(await readFile(mark, 'utf8'));
      assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    });
  });

  describe('host keys', () => {
    it('remembers the key of a device at the first connection and says its fingerprint', async (t) => {
      const home = await userHome(t);
      const first = await davit(to(server, '--', 'true'), home);
      assert.ok(first.stderr.includes(await server.hostFingerprint()));
      const second = await davit(to(server, '--', 'true'), home);
      assert.equal(second.stderr, '');
    });

    it('refuses a changed key, showing both fingerprints, until it is accepted', async (t) => {
      const flashed = await startSshServer();
      t.after(() => flashed.close());
      const home = await userHome(t);
      await davit(to(flashed, '--', 'true'), home);
      const old = await flashed.hostFingerprint();
      await flashed.changeHostKey();
      const mark = path.join(await temporaryFolder(t), 'mark');
      const refused = await davit(to(flashed, '--', 'touch', mark), home);
      assert.equal(refused.exitCode, 4);
      assert.ok(refused.stderr.includes(old), refused.stderr);
      assert.ok(refused.stderr.includes(await flashed.hostFingerprint()), refused.stderr);
      assert.match(refused.stderr, /davit ssh 127\.0\.0\.1 --port \d+ --accept-new-key/);
      await assert.rejects(readFile(mark), { code: 'ENOENT' });
      const accepted = await davit(to(flashed, '--accept-new-host-key', '--', 'true'), home);
      assert.equal(accepted.exitCode, 0, accepted.stderr);
      assert.equal((await davit(to(flashed, '--', 'true'), home)).exitCode, 0);
    });

    it('pins a single key when several davits meet a device at once', async (t) => {
      const home = await userHome(t);
      const results = await Promise.all([1, 2, 3].map(() => davit(to(server, '--', 'true'), home)));
      assert.ok(results.every((result) => result.exitCode === 0));
      assert.equal((await pinnedIn(home)).length, 1);
    });

    it('names a damaged file instead of trusting anyone', async (t) => {
      const home = await userHome(t);
      await davit(to(server, '--', 'true'), home);
      const { file } = pinsOf(home);
      await writeFile(file, (await readFile(file, 'utf8')).slice(0, 50));
      const result = await davit(to(server, '--', 'true'), home);
      assert.equal(result.exitCode, 5);
      assert.ok(result.stderr.includes(file));
    });

    describe('that OpenSSH knows', () => {
      const known = async (t: TestContext, line: string, ...more: readonly (readonly string[])[]) => {
        const before: Buffer[] = [];
        // Registered before the removal of the folder.
        t.after(async () => {
          assert.deepEqual(await readFile(file), before[0], 'the file of the user has changed');
        });
        const home = await userHome(t);
        const folder = path.join(home.environment.HOME, '.ssh');
        await mkdir(folder);
        const file = path.join(folder, 'known_hosts');
        await writeFile(file, `${line}\n`);
        for (const words of more) await runChecked('changing known_hosts', 'ssh-keygen', [...words, '-f', file]);
        before.push(await readFile(file));
        return home;
      };
      const wrong = `${hostKeyFrom(1).type} ${hostKeyFrom(1).key}`;

      it('are trusted without a word, also hashed and by a pattern', async (t) => {
        const key = await server.hostKey();
        for (const [line, ...more] of [
          [`[127.0.0.1]:${server.port} ${key}`],
          [`[127.0.0.1]:${server.port} ${key}`, ['-q', '-H']],
          [`[127.0.0.?]:* ${key}`],
          [`127.0.0.1 ${key}`],
        ] as const) {
          const home = await known(t, line, ...more);
          const result = await davit(to(server, '--', 'true'), home);
          assert.deepEqual([result.exitCode, result.stderr], [0, ''], line);
          assert.equal((await pinnedIn(home)).length, 1);
        }
      });

      it('refuse another key, and say in which line', async (t) => {
        const home = await known(t, `# mine\n[127.0.0.1]:${server.port} ${wrong}`);
        const result = await davit(to(server, '--', 'true'), home);
        assert.equal(result.exitCode, 4);
        assert.match(result.stderr, /known_hosts:2/);
        assert.equal((await pinnedIn(home)).length, 0);
        assert.equal((await davit(to(server, '--accept-new-key', '--', 'true'), home)).exitCode, 0);
        assert.equal((await davit(to(server, '--', 'true'), home)).exitCode, 0);
      });

      it('do not speak for another port', async (t) => {
        const home = await known(t, `127.0.0.1 ${wrong}\n[127.0.0.1]:1 ${wrong}`);
        assert.equal((await davit(to(server, '--', 'true'), home)).exitCode, 0);
      });

      it('are refused when they are revoked, also when new keys are accepted', async (t) => {
        const home = await known(t, `@revoked * ${await server.hostKey()}`);
        for (const words of [[], ['--accept-new-key']]) {
          const result = await davit(to(server, ...words, '--', 'true'), home);
          assert.equal(result.exitCode, 4, result.stderr);
          assert.match(result.stderr, /revoked/);
        }
      });
    });

    for (const type of ['ed25519', 'ecdsa', 'rsa']) {
      it(`of type ${type} are pinned and asked for again when the server has others too`, async (t) => {
        const several = await startSshServer({ hostKeyTypes: [type] });
        t.after(() => several.close());
        const home = await userHome(t);
        assert.equal((await davit(to(several, '--', 'true'), home)).exitCode, 0);
        await several.setHostKeyTypes(['rsa', 'ecdsa', 'ed25519']);
        const again = await davit(to(several, '--', 'true'), home);
        assert.deepEqual([again.exitCode, again.stderr], [0, '']);
      });
    }

    describe('of a device with a UUID', () => {
      const uuid = '63ec46c2b8e04a8e9e3b1d7a5f0c9e21';
      const device = async (t: TestContext) => {
        const one = await startSshServer({ configJson: { deviceApiKey: 'secret', uuid } });
        t.after(() => one.close());
        return one;
      };
      const by = (name: string, one: SshServer, ...words: string[]) => {
        const [command = '', , ...rest] = to(one, ...words);
        return [command, name, ...rest];
      };

      it('are pinned under it, with the names that it was met under', async (t) => {
        const one = await device(t);
        const home = await userHome(t);
        assert.equal((await davit(by('127.0.0.1', one, '--', 'true'), home)).exitCode, 0);
        const again = await davit(by('localhost', one, '--', 'true'), home);
        assert.equal(again.exitCode, 0);
        assert.match(again.stderr, /localhost has the host key of 63ec46c/);
        const names = ['127.0.0.1', 'localhost'].map((name) => `[${name}]:${one.port}`);
        assert.deepEqual(
          (await pinnedIn(home)).map((pinned) => ({ uuid: pinned.uuid, names: pinned.names })),
          [{ uuid, names }],
        );
      });

      it('are refused under another name when they have changed', async (t) => {
        const one = await device(t);
        const home = await userHome(t);
        assert.equal((await davit(by('127.0.0.1', one, '--', 'true'), home)).exitCode, 0);
        await one.changeHostKey();
        const mark = path.join(await temporaryFolder(t), 'mark');
        for (let round = 0; round < 2; round++) {
          const refused = await davit(by('localhost', one, '--', 'touch', mark), home);
          assert.equal(refused.exitCode, 4, refused.stderr);
        }
        await assert.rejects(readFile(mark), { code: 'ENOENT' });
        assert.equal((await davit(by('localhost', one, '--accept-new-key', '--', 'true'), home)).exitCode, 0);
        assert.equal((await davit(by('127.0.0.1', one, '--', 'true'), home)).exitCode, 0);
        assert.equal((await pinnedIn(home)).length, 1);
      });
    });
  });

  describe('logging in', () => {
    const without = (...words: string[]) => ['ssh', '127.0.0.1', '--port', String(server.port), ...words, '--', 'true'];

    it('ends with 7 when the device does not know the key', async (t) => {
      const result = await davit(without('--identity', server.wrongIdentityFile), await userHome(t));
      assert.equal(result.exitCode, 7);
      assert.match(result.stderr, /os\.sshKeys/);
    });

    it('ends with 3 when there is no such key file', async (t) => {
      assert.equal((await davit(without('--identity', '/nowhere/key'), await userHome(t))).exitCode, 3);
    });

    it('ends with 2 when the key file is no key', async (t) => {
      assert.equal((await davit(without('--identity', '/etc/passwd'), await userHome(t))).exitCode, 2);
    });

    it('finds the usual keys of the home folder', async (t) => {
      const home = await userHome(t);
      await mkdir(path.join(home.environment.HOME, '.ssh'));
      const key = await readFile(server.identityFile);
      await writeFile(path.join(home.environment.HOME, '.ssh', 'id_ed25519'), key, { mode: 0o600 });
      const result = await davit(without(), home);
      assert.equal(result.exitCode, 0, result.stderr);
    });

    it('logs in with keys of every type and format that OpenSSH makes', async (t) => {
      const folder = await temporaryFolder(t);
      const device = await startSshServer();
      t.after(() => device.close());
      const home = await userHome(t);
      const kinds = ['-t ed25519', '-t ecdsa -b 256', '-t ecdsa -b 521', '-t rsa -b 3072', '-t rsa -b 2048 -m PEM'];
      for (const [index, kind] of kinds.entries()) {
        const file = path.join(folder, String(index));
        await runChecked('making a key', 'ssh-keygen', ['-q', ...kind.split(' '), '-N', '', '-f', file]);
        // All that the server accepts, so that no other key is let in.
        await writeFile(path.join(path.dirname(device.identityFile), 'authorized_keys'), await readFile(`${file}.pub`));
        const words = ['ssh', '127.0.0.1', '--port', String(device.port), '--identity', file, '--', 'true'];
        const result = await davit(words, home);
        assert.equal(result.exitCode, 0, `${kind}: ${result.stderr}`);
      }
    });

    it('uses the SSH agent', async (t) => {
      const home = await userHome(t);
      const SSH_AUTH_SOCK = path.join(home.environment.HOME, 'agent');
      const started = await runChecked('starting an agent', 'ssh-agent', ['-a', SSH_AUTH_SOCK]);
      const pid = Number(/SSH_AGENT_PID=(\d+)/.exec(started)?.[1]);
      t.after(() => process.kill(pid));
      const environment = { SSH_AUTH_SOCK };
      await runChecked('adding a key', 'ssh-add', ['-q', server.identityFile], { environment });
      const result = await davit(without(), { environment: { ...home.environment, ...environment } });
      assert.equal(result.exitCode, 0, result.stderr);
    });

    it('ends with 7 when the device has had enough of wrong keys', async (t) => {
      const strict = await startSshServer({ configuration: ['MaxAuthTries 2'] });
      t.after(() => strict.close());
      const home = await userHome(t);
      await mkdir(path.join(home.environment.HOME, '.ssh'));
      for (const name of ['id_ed25519', 'id_ecdsa', 'id_rsa']) {
        const file = path.join(home.environment.HOME, '.ssh', name);
        await runChecked('making a key', 'ssh-keygen', ['-q', '-t', name.slice(3), '-N', '', '-f', file]);
      }
      const result = await davit(['ssh', '127.0.0.1', '--port', String(strict.port), '--', 'true'], home);
      assert.equal(result.exitCode, 7, result.stderr);
    });

    it('goes on without an agent that is not there', async (t) => {
      const home = await userHome(t);
      const environment = { ...home.environment, SSH_AUTH_SOCK: '/nowhere/agent' };
      assert.equal((await davit(without(), { environment })).exitCode, 7);
    });

    it('says how to go on when a key needs a passphrase and nobody can be asked', async (t) => {
      const home = await userHome(t);
      const file = path.join(home.environment.HOME, 'locked');
      await runChecked('making a key', 'ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'open sesame', '-f', file]);
      const result = await davit(without('--identity', file), home);
      assert.equal(result.exitCode, 2);
      assert.match(result.stderr, /ssh-add/);
    });

    it('lets root in without a password in development mode', async (t) => {
      const shadow = path.join(await temporaryFolder(t), 'shadow');
      const users = await readFile('/etc/shadow', 'utf8');
      await writeFile(shadow, users.replace(/^root:[^:]*:/m, 'root::'), { mode: 0o600 });
      const device = await startSshServer({
        wrapper: ['unshare', '-m', 'sh', '-c', `mount --bind ${shadow} /etc/shadow && exec "$@"`, 'sh'],
        configuration: ['PasswordAuthentication yes', 'PermitEmptyPasswords yes'],
      });
      t.after(() => device.close());
      const words = ['ssh', '127.0.0.1', '--port', String(device.port), '--', 'id', '-u'];
      const result = await davit(words, await userHome(t));
      assert.deepEqual([result.exitCode, result.stdout], [0, '0\n'], result.stderr);
    });
  });

  it(
    'reaches a device that has nothing but a link-local IPv6 address, by name and by address',
    skipNetwork,
    async (t) => {
      const network = await createNetwork([{ hostname: 'aaaaaa1' }, { hostname: 'bbbbbb2', versions: 'ipv6' }]);
      t.after(() => network.close());
      const device = network.devices[1];
      if (device === undefined) throw new Error('no device');
      const remote = await startSshServer({ port: 22222, wrapper: ['ip', 'netns', 'exec', device.namespace] });
      t.after(() => remote.close());
      const options = { ...(await userHome(t)), wrapper: network.wrapper };
      const line = "ip -6 -o address show dev eth0 scope link | awk '{print $4}' | cut -d/ -f1";
      const words = (name: string) => ['ssh', name, '--identity', remote.identityFile, '--', line];
      const byName = await davit(words('bbbbbb2'), options);
      assert.equal(byName.exitCode, 0, byName.stderr);
      const byAddress = await davit(words(`[${byName.stdout.trim()}%${device.hostInterface}]`), options);
      assert.deepEqual([byAddress.exitCode, byAddress.stdout], [0, byName.stdout], byAddress.stderr);
    },
  );

  it('reaches a device at its next address when there is no way to the best one', skipNetwork, async (t) => {
    const network = await createNetwork([{ hostname: 'aaaaaa1' }]);
    t.after(() => network.close());
    const [device] = network.devices;
    if (device?.ipv4 === undefined) throw new Error('the device has no address');
    const remote = await startSshServer({ port: 22222, wrapper: ['ip', 'netns', 'exec', device.namespace] });
    t.after(() => remote.close());
    const options = { ...(await userHome(t)), wrapper: network.wrapper };
    const words = ['ssh', 'aaaaaa1', '--identity', remote.identityFile, '--json', '--', 'true'];
    for (const [kind, address] of [
      ['none', device.ipv4],
      ['unreachable', 'fe80::'],
      ['blackhole', 'fe80::'],
    ] as const) {
      const route = ['route', 'replace', kind, `${device.ipv4}/32`];
      if (kind !== 'none') await runChecked('blocking the way', 'ip', ['-n', network.host, ...route]);
      const result = await davit(words, options);
      assert.equal(result.exitCode, 0, result.stderr);
      assert.match(result.stdout, new RegExp(`"address": "${address}`), kind);
    }
  });

  describe('devices that cannot be reached', () => {
    /** What gives up after 5 or 8 s may take so many where the machine is slow; what does not give up takes minutes. */
    const notMinutes = 40;
    const timed = async (words: readonly string[], options: DavitOptions) => {
      const started = performance.now();
      const result = await davit(words, options);
      return { ...result, seconds: (performance.now() - started) / 1000 };
    };

    it('ends with 6 when the port is closed', async (t) => {
      const words = ['ssh', '127.0.0.1', '--port', String(await freePort()), '--', 'true'];
      const result = await timed(words, await userHome(t));
      assert.equal(result.exitCode, 6);
      assert.ok(result.seconds < notMinutes, `took ${result.seconds} s`);
    });

    it('ends with 6 when something else than SSH listens', async (t) => {
      const web = createServer((socket) => socket.end('HTTP/1.0 400 Bad Request\r\n\r\n')).listen(0, '127.0.0.1');
      t.after(() => web.close());
      await once(web, 'listening');
      const address = web.address();
      const port = typeof address === 'object' ? address?.port : undefined;
      assert.equal((await davit(['ssh', '127.0.0.1', '--port', String(port)], await userHome(t))).exitCode, 6);
    });

    it('ends with 3 in seconds for a name that nobody has', async (t) => {
      const result = await timed(['ssh', 'nobody-has-this', '--', 'true'], await userHome(t));
      assert.equal(result.exitCode, 3);
      assert.match(result.stderr, /davit scan/);
      assert.ok(result.seconds < notMinutes, `took ${result.seconds} s`);
    });

    it('ends with 6 in seconds when the cable is pulled, and when packets vanish', skipNetwork, async (t) => {
      const network = await createNetwork([{ hostname: 'aaaaaa1', port: false }]);
      t.after(() => network.close());
      const [device] = network.devices;
      if (device?.ipv4 === undefined) throw new Error('the device has no address');
      const remote = await startSshServer({ wrapper: ['ip', 'netns', 'exec', device.namespace] });
      t.after(() => remote.close());
      const options = { ...(await userHome(t)), wrapper: network.wrapper };
      const words = ['ssh', device.ipv4, '--port', String(remote.port), '--identity', remote.identityFile, '--'];

      const running = startDavit([...words, 'echo started; sleep 1000'], options);
      await once(outputOf(running), 'data');
      const pulledAt = performance.now();
      await device.setConnected(false);
      assert.equal(await exitCodeOf(running), 6);
      assert.ok(performance.now() - pulledAt < notMinutes * 1000);

      await device.setConnected(true);
      // Without a way back to the asker, the device takes packets in and answers none.
      await run('ip', ['-n', device.namespace, 'route', 'flush', 'table', 'main']);
      const vanished = await timed([...words, 'true'], options);
      assert.equal(vanished.exitCode, 6, vanished.stderr);
      assert.ok(vanished.seconds < notMinutes, `took ${vanished.seconds} s`);
    });
  });
});

function pinsOf(home: Awaited<ReturnType<typeof userHome>>): HostKeyStore {
  return new HostKeyStore(hostKeyFile(home.environment.DAVIT_DATA_DIR));
}

function pinnedIn(home: Awaited<ReturnType<typeof userHome>>) {
  return pinsOf(home).devices();
}

function outputOf(child: ChildProcess) {
  if (child.stdout === null) throw new Error('standard output is not a pipe');
  return child.stdout;
}

async function exitCodeOf(child: ChildProcess): Promise<number | null> {
  await once(child, 'exit');
  return child.exitCode;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
