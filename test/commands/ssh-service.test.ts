import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, describe, it, type TestContext } from 'node:test';
import { AccountStore } from '../../src/lib/fleet/account-store.js';
import { createContainer, startContainer } from '../../src/lib/engine/containers.js';
import { importBaseImage } from '../support/base-image.js';
import { accountAt, type StandInCloud, startCloud } from '../support/cloud.js';
import { davit, startDavit } from '../support/davit.js';
import { engineSkipReason, freePort, startEngine, type TestEngine } from '../support/engine.js';
import { seededRandom } from '../support/seeded-random.js';
import { type StandInSshProxy, startSshProxy } from '../support/ssh-proxy.js';
import { type SshServer, sshServerSkipReason, startSshServer } from '../support/ssh-server.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const skip = engineSkipReason() || sshServerSkipReason();

describe('davit ssh into a service', { skip }, () => {
  let engine: TestEngine;
  let server: SshServer;
  let cloud: StandInCloud;
  let proxy: StandInSshProxy;
  const ends: (() => unknown)[] = [];
  before(async () => {
    engine = await startEngine();
    await importBaseImage(engine.connection);
    const HostConfig = { NetworkMode: 'host' };
    const Cmd = ['/bin/sleep', '100000'];
    const id = await createContainer(engine.connection, 'main_1_1_10ca12e1ea5e', { Image: 'base', Cmd, HostConfig });
    await startContainer(engine.connection, id);
    await createContainer(engine.connection, 'idle_2_1_10ca12e1ea5e', { Image: 'base', Cmd, HostConfig });
    server = await startSshServer({
      wrapper: [
        ...['unshare', '-m', 'sh', '-c'],
        'mount -t tmpfs tmpfs /run && mkdir /run/sshd && touch /run/balena-engine.sock && ' +
          'mount --bind "$0" /run/balena-engine.sock && exec "$@"',
        engine.socket,
      ],
    });
    cloud = await startCloud({ after: (work) => ends.push(work) });
    cloud.devices = [{ uuid, name: 'crane', isConnected: true, seenAt: null, ports: { 22222: server.port } }];
    const { wrongIdentityFile: identityFile } = server;
    const wrapper = ['nsenter', '-t', String(server.pid()), '-m'];
    proxy = await startSshProxy({ userName: cloud.userName, identityFile, uuid, wrapper });
    ends.push(proxy.close);
  });
  after(async () => {
    for (const end of ends.reverse()) await end();
    await server.close();
    await engine.close();
  });

  const uuid = '63ec46c14d6bb1ee1ed1eb7a8e05ce0d';
  const throughCloud = (identityFile: string) => [uuid, '--via', 'cloud', '--identity', identityFile];

  /** Every way to an engine, as the device and flags: its open port, and its socket through SSH, near and far. */
  const ways = {
    'by its open port': () => ['127.0.0.1', '--engine-port', String(engine.port)],
    'through SSH': async () => [
      ...['127.0.0.1', '--engine-port', String(await freePort())],
      ...['--port', String(server.port), '--identity', server.identityFile],
    ],
    'through the tunnel service of a cloud': () => throughCloud(server.identityFile),
    'through the SSH proxy of a cloud': () => throughCloud(server.wrongIdentityFile),
  };

  async function home(t: TestContext) {
    const HOME = await temporaryFolder(t);
    const DAVIT_DATA_DIR = path.join(HOME, 'data');
    await new AccountStore(path.join(DAVIT_DATA_DIR, 'accounts.json')).add(accountAt(cloud, { sshProxy: proxy }));
    const NODE_EXTRA_CA_CERTS = cloud.certificateFile;
    return { environment: { HOME, DAVIT_DATA_DIR, NODE_EXTRA_CA_CERTS, SSH_AUTH_SOCK: undefined } };
  }

  for (const [name, way] of Object.entries(ways)) {
    describe(`whose engine is reached ${name}`, () => {
      const to = async (...words: string[]) => {
        const [device = '', ...flags] = await way();
        return ['ssh', device, 'main', ...flags, ...words];
      };

      it('runs a program with its arguments unchanged, and ends with its exit code', async (t) => {
        const options = await home(t);
        const words = ['a b', "it's", '$HOME', '*', '', '"', '\\', 'line\nbreak', '--json', '--', 'ü'];
        const echoed = await davit(await to('--', 'sh', '-c', 'printf "<%s>" "$@"; exit 42', 'sh', ...words), options);
        assert.equal(echoed.stdout, words.map((word) => `<${word}>`).join(''), echoed.stderr);
        assert.equal(echoed.exitCode, 42);
        const killed = await davit(await to('--', 'kill -TERM $$'), options);
        assert.equal(killed.exitCode, 143);
      });

      it('keeps standard output and standard error apart', async (t) => {
        const options = await home(t);
        await davit(await to('--', 'true'), options);
        const result = await davit(await to('--', 'echo out; echo err >&2'), options);
        // The way through a cloud is told each time.
        const stderr = result.stderr.replace(/^.* through the .*\n/gm, '');
        assert.deepEqual([result.stdout, stderr], ['out\n', 'err\n']);
      });

      it('passes 5 MB of any bytes in and out unchanged', async (t) => {
        const bytes = seededRandom(7).bytes(5_000_000);
        const child = startDavit(await to('--', 'cat'), await home(t));
        child.stdin?.end(bytes);
        const [echoed] = await Promise.all([buffer(outputOf(child)), once(child, 'exit')]);
        assert.ok(echoed.equals(bytes));
      });

      it('runs what is piped in when there is no command', async (t) => {
        const result = await davit(await to(), { ...(await home(t)), input: 'echo hello\nexit 9\n' });
        assert.deepEqual([result.exitCode, result.stdout], [9, 'hello\n']);
      });

      it('gives the command a terminal only when asked', async (t) => {
        const options = await home(t);
        assert.equal((await davit(await to('--', 'test -t 1'), options)).exitCode, 1);
        const tty = await davit(await to('--tty', '--', 'test -t 1'), options);
        assert.equal(tty.exitCode, 0, tty.stderr);
      });

      it('ends the command on Ctrl-C', async (t) => {
        const options = await home(t);
        const child = startDavit(await to('--', 'echo started; exec sleep 98765'), options);
        await once(outputOf(child), 'data');
        child.kill('SIGINT');
        await once(child, 'exit');
        assert.equal(child.exitCode, 130);
        const left = await davit(await to('--', 'cat /proc/[0-9]*/cmdline'), options);
        assert.ok(!left.stdout.includes('98765'), left.stdout);
      });
    });
  }

  it('shows the log of a service behind a cloud', async (t) => {
    const [device = '', ...flags] = ways['through the tunnel service of a cloud']();
    const { exitCode, stderr } = await davit(['logs', device, '--service', 'main', ...flags], await home(t));
    assert.equal(exitCode, 0, stderr);
    assert.match(stderr, /through the tunnel service/);
  });

  for (const name of ['by its open port', 'through SSH', 'through the tunnel service of a cloud'] as const) {
    it(`tunnels to a port of a service whose engine is reached ${name}`, async (t) => {
      const web = createServer((_request, response) => response.end('from the service')).listen(0, '127.0.0.1');
      t.after(() => web.close());
      await once(web, 'listening');
      const address = web.address();
      const [device = '', ...flags] = await ways[name]();
      const login = ['--port', String(server.port), '--identity', server.identityFile];
      const target = `0:main:${typeof address === 'object' ? (address?.port ?? 0) : 0}`;
      const words = ['tunnel', device, target, '--json', ...flags, ...(name === 'by its open port' ? login : [])];
      const tunnel = startDavit(words, await home(t));
      t.after(() => tunnel.kill('SIGKILL'));
      const [line] = (await once(outputOf(tunnel), 'data')) as [Buffer];
      const open = JSON.parse(line.toString()) as { readonly port: number };
      assert.equal(await (await fetch(`http://127.0.0.1:${open.port}/`)).text(), 'from the service');
      tunnel.kill('SIGINT');
      await once(tunnel, 'exit');
      assert.equal(tunnel.exitCode, 130);
    });
  }

  it('ends with 3 for a service that is not there, and names those that are', async (t) => {
    const result = await davit(['ssh', '127.0.0.1', 'uptime', ...ways['by its open port']().slice(1)], await home(t));
    assert.equal(result.exitCode, 3);
    assert.match(result.stderr, /idle, main/);
  });

  it('ends with 4 for a service that does not run', async (t) => {
    const result = await davit(['ssh', '127.0.0.1', 'idle', ...ways['by its open port']().slice(1)], await home(t));
    assert.equal(result.exitCode, 4);
  });

  it('ends as the engine says when the container has no such program', async (t) => {
    const words = ['ssh', '127.0.0.1', 'main', ...ways['by its open port']().slice(1), '--', 'no-such-program'];
    // 127 of newer engines.
    assert.match(String((await davit(words, await home(t))).exitCode), /^12[67]$/);
  });
});

function outputOf(child: ChildProcess) {
  if (child.stdout === null) throw new Error('standard output is not a pipe');
  return child.stdout;
}
