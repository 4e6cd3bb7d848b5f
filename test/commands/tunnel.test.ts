import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, it, type TestContext } from 'node:test';
import { connect, createServer as createTcpServer } from 'node:net';
import { run } from '../../src/lib/platform/child-process.js';
import { davit, startDavit } from '../support/davit.js';
import { freePort, type SshServer, sshServerSkipReason, startSshServer } from '../support/ssh-server.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { userHome } from '../support/user-home.js';

describe('davit tunnel', { skip: sshServerSkipReason() }, () => {
  let server: SshServer;
  let web: Server;
  let webPort: number;
  before(async () => {
    server = await startSshServer();
    web = createServer((_request, response) => response.end('from the device'));
    web.listen(0, '127.0.0.1');
    await once(web, 'listening');
    const address = web.address();
    webPort = typeof address === 'object' ? (address?.port ?? 0) : 0;
  });
  after(async () => {
    web.close();
    await server.close();
  });

  const words = (...more: readonly string[]) => [
    ...['tunnel', '127.0.0.1', '--port', String(server.port), '--identity', server.identityFile],
    ...more,
  ];

  /** Starts tunnels and gives their local ports as soon as all are open. */
  async function open(t: TestContext, ...tunnels: readonly string[]) {
    const child = startDavit(words(...tunnels, '--json'), await userHome(t));
    t.after(() => child.kill('SIGKILL'));
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const ports: number[] = [];
    for await (const chunk of outputOf(child)) {
      for (const line of String(chunk).trim().split('\n')) ports.push((JSON.parse(line) as { port: number }).port);
      if (ports.length === tunnels.length) break;
    }
    return { child, ports, said: () => said };
  }

  const fetched = async (port: number | undefined) => (await fetch(`http://127.0.0.1:${port ?? 0}/`)).text();

  it('leads to a port and to a socket of the device, several at once, and ends with 130 on Ctrl-C', async (t) => {
    const socket = path.join(await temporaryFolder(t), 'socket');
    const other = createServer((_request, response) => response.end('from the socket')).listen(socket);
    t.after(() => other.close());
    const { child, ports } = await open(t, `0:${webPort}`, `0:${socket}`, `0:127.0.0.1:${webPort}`);
    const answers = await Promise.all([...ports, ...ports].map(fetched));
    const expected = ['from the device', 'from the socket', 'from the device'];
    assert.deepEqual(answers, [...expected, ...expected]);
    child.kill('SIGINT');
    await once(child, 'exit');
    assert.equal(child.exitCode, 130);
    await assert.rejects(fetched(ports[0]));
  });

  it('passes what comes after one side has said its last word', async (t) => {
    const echo = createTcpServer({ allowHalfOpen: true }, (socket) => {
      let said = '';
      socket.on('data', (chunk: Buffer) => (said += chunk.toString()));
      socket.on('end', () => socket.end(`heard ${said}`));
    });
    echo.listen(0, '127.0.0.1');
    await once(echo, 'listening');
    t.after(() => echo.close());
    const address = echo.address();
    const { ports } = await open(t, `0:${typeof address === 'object' ? (address?.port ?? 0) : 0}`);
    const socket = connect({ host: '127.0.0.1', port: ports[0] ?? 0, allowHalfOpen: true });
    socket.end('all of this');
    assert.equal(await text(socket), 'heard all of this');
  });

  it('goes on when nothing listens at its end, and says so', async (t) => {
    const { child, ports, said } = await open(t, `0:${await freePort()}`);
    await assert.rejects(fetched(ports[0]));
    await untilSaid(said, /connecting to 127\.0\.0\.1/);
    assert.equal(child.exitCode, null);
  });

  it('connects again after the link was lost', async (t) => {
    const { ports, said } = await open(t, `0:${webPort}`);
    assert.equal(await fetched(ports[0]), 'from the device');
    await run('pkill', ['-P', String(server.pid())]);
    for (let round = 0; round < 2; round++) assert.equal(await eventually(() => fetched(ports[0])), 'from the device');
    await untilSaid(said, /lost[\s\S]*Connected again/);
  });

  it('refuses a port that is taken, and what is no tunnel', async (t) => {
    const taken = await davit(words(`${webPort}:80`), await userHome(t));
    assert.equal(taken.exitCode, 4, taken.stderr);
    for (const wrong of ['x', '80:', ':80', '1:2:3:4:5', '70000:80', '0']) {
      assert.equal((await davit(words(wrong), await userHome(t))).exitCode, 2, wrong);
    }
  });
});

function untilSaid(said: () => string, wanted: RegExp): Promise<void> {
  return eventually(() => {
    assert.match(said(), wanted);
    return Promise.resolve();
  });
}

async function eventually<T>(work: () => Promise<T>): Promise<T> {
  const end = performance.now() + 30_000;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

function outputOf(child: ChildProcess) {
  if (child.stdout === null) throw new Error('standard output is not a pipe');
  return child.stdout;
}
