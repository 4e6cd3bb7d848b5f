import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, describe, it, type TestContext } from 'node:test';
import { openDevice } from '../../../src/lib/device/device.js';
import { engineInfo } from '../../../src/lib/engine/engine-info.js';
import { NewHostKeyPermit } from '../../../src/lib/ssh/new-host-key-permit.js';
import { freePort, type SshServer, sshServerSkipReason, startSshServer } from '../../support/ssh-server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const signal = new AbortController().signal;

/** Serves `/info` as an engine does, on a Unix socket of the mount namespace it is started in. */
const engineOn = (socketPath: string) => `
  require('node:fs').rmSync('${socketPath}', { force: true });
  require('node:http')
    .createServer((request, response) => response.end(JSON.stringify({ Name: 'engine at ${socketPath}' })))
    .listen('${socketPath}', () => console.log('ready'));
`;

/** Gives a server a /run of its own, so that its engine's socket is nobody else's. */
const ownRun = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec "$@"', 'sh'];

describe('openDevice', { skip: sshServerSkipReason() }, () => {
  let server: SshServer;
  before(async () => {
    server = await startSshServer({ wrapper: ownRun });
  });
  after(() => server.close());

  async function open(t: TestContext, enginePort: number) {
    process.env.DAVIT_DATA_DIR = await temporaryFolder(t);
    const device = await openDevice('127.0.0.1', {
      signal,
      ssh: { port: server.port, identityFile: server.identityFile },
      enginePort,
    });
    t.after(() => device.close());
    return device;
  }

  async function startEngine(t: TestContext, socketPath: string) {
    const words = ['-t', String(server.pid()), '-m', '-r', process.execPath, '--eval', engineOn(socketPath)];
    const engine = spawn('nsenter', words, { stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => engine.kill());
    await once(engine.stdout, 'data');
  }

  it('reaches an engine whose port is open without SSH', async (t) => {
    const engine = createServer((_, response) => response.end('{"Name":"direct"}')).listen(0, '127.0.0.1');
    t.after(() => engine.close());
    await once(engine, 'listening');
    const address = engine.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const device = await open(t, address.port);
    assert.equal((await engineInfo(await device.engine())).hostname, 'direct');
    assert.ok(!server.log().includes('Accepted publickey'));
  });

  it('fails as unreachable when there is no engine at all', async (t) => {
    const device = await open(t, await freePort());
    await assert.rejects(device.engine(), { kind: 'unreachable', code: 'engine-not-found' });
  });

  for (const socketPath of ['/run/docker.sock', '/run/balena-engine.sock']) {
    it(`reaches an engine at ${socketPath} through one SSH connection`, async (t) => {
      await startEngine(t, socketPath);
      const device = await open(t, await freePort());
      const engine = await device.engine();
      const answers = await Promise.all([1, 2, 3].map(() => engineInfo(engine)));
      assert.deepEqual(
        answers.map((answer) => answer.hostname),
        Array.from({ length: 3 }, () => `engine at ${socketPath}`),
      );
      assert.equal(await device.ssh(), await device.ssh());
    });
  }

  it('connects again after the link was lost', async (t) => {
    await startEngine(t, '/run/balena-engine.sock');
    const device = await open(t, await freePort());
    const engine = await device.engine();
    await assert.rejects((await device.ssh()).run('kill $PPID'), { kind: 'unreachable' });
    const [one, other] = await Promise.all([engineInfo(engine), engineInfo(engine)]);
    assert.equal(one.hostname, other.hostname);
  });

  it('takes a permitted new host key once, and refuses the next change when it connects again', async (t) => {
    process.env.DAVIT_DATA_DIR = await temporaryFolder(t);
    const ssh = { port: server.port, identityFile: server.identityFile, newHostKeyPermit: new NewHostKeyPermit() };
    const connect = async () => {
      const device = await openDevice('127.0.0.1', { signal, ssh });
      t.after(() => device.close());
      return device.ssh();
    };
    await connect();
    await connect();
    await server.changeHostKey();
    await assert.rejects(connect(), { code: 'host-key-changed' });
  });

  it('opens no connection before one is asked for, and closes without', async (t) => {
    const device = await open(t, await freePort());
    await device.close();
    assert.deepEqual([device.name, device.address], ['127.0.0.1', '127.0.0.1']);
  });
});
