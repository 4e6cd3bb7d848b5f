import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, beforeEach, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { containerLogs } from '../../src/lib/engine/container-logs.js';
import {
  createContainer,
  inspectContainer,
  listContainers,
  removeContainer,
  startContainer,
} from '../../src/lib/engine/containers.js';
import { listAt, valueAt } from '../../src/lib/engine/engine-answer.js';
import { importBaseImage } from '../support/base-image.js';
import { davit, davitJson, startDavit } from '../support/davit.js';
import { engineSkipReason, startEngine, type TestEngine } from '../support/engine.js';

/** Prints numbered lines for as long as it is let, and goes on counting after a restart. */
const counter =
  'trap "exit 0" TERM; n=$(cat /n 2>/dev/null || echo 0); while true; do n=$((n+1)); echo $n > /n; echo line $n; sleep 0.02; done';

describe('logs', { skip: engineSkipReason() }, () => {
  let engine: TestEngine;
  before(async () => {
    engine = await startEngine();
    await importBaseImage(engine.connection);
  });
  after(() => engine.close());
  beforeEach(async () => {
    for (const { id } of await listContainers(engine.connection)) await removeContainer(engine.connection, id);
  });

  const words = (...more: string[]) => ['logs', '127.0.0.1', '--engine-port', String(engine.port), ...more];

  async function startService(service: string, script: string, hasTerminal = true): Promise<string> {
    const HostConfig = { NetworkMode: 'host', RestartPolicy: { Name: 'always' } };
    const spec = { Image: 'base', Cmd: ['sh', '-c', script], Tty: hasTerminal, HostConfig };
    const id = await createContainer(engine.connection, `${service}_1_1_10ca12e1ea5e`, spec);
    await startContainer(engine.connection, id);
    return id;
  }

  /** Starts davit and gives what it has printed on standard output so far, by call. */
  function following(t: TestContext, commandLine: readonly string[]): { child: ChildProcess; lines: () => string[] } {
    const child = startDavit(commandLine);
    t.after(() => child.kill('SIGKILL'));
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    return { child, lines: () => text.split('\n').slice(0, -1) };
  }

  async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
    const deadline = Date.now() + 30_000;
    while (!(await condition())) {
      assert.ok(Date.now() < deadline, 'the condition has come true in time');
      await sleep(20);
    }
  }

  async function ended(child: ChildProcess): Promise<number | null> {
    child.kill('SIGINT');
    if (child.exitCode === null) await once(child, 'close');
    return child.exitCode;
  }

  async function wholeLog(id: string): Promise<string[]> {
    const lines: string[] = [];
    const { hasTerminal } = await inspectContainer(engine.connection, id);
    for await (const line of containerLogs(engine.connection, { id, hasTerminal }, { follow: false }))
      lines.push(line.text);
    return lines;
  }

  it('prints what is there and ends, both streams on standard output', async () => {
    const id = await startService(
      'main',
      'trap "exit 0" TERM; echo one; echo two >&2; while true; do sleep 0.1; done',
      false,
    );
    await until(async () => (await wholeLog(id)).length === 2);
    const { exitCode, stdout } = await davit(words());
    assert.equal(exitCode, 0);
    assert.deepEqual(stdout.trim().split('\n').sort(), ['one', 'two']);
    const { document } = await davitJson(words('--tail', '1'));
    const lines = valueAt(document, 'lines');
    assert.ok(Array.isArray(lines) && lines.length === 1);
    const all = valueAt((await davitJson(words())).document, 'lines');
    assert.ok(Array.isArray(all));
    assert.deepEqual(all.map((line) => `${String(valueAt(line, 'stream'))} ${String(valueAt(line, 'text'))}`).sort(), [
      'stderr two',
      'stdout one',
    ]);
  });

  it('prints only the tail, only what is new enough, and times where they are wanted', async () => {
    const id = await startService('main', 'trap "exit 0" TERM; seq 1 5; while true; do sleep 0.1; done');
    await until(async () => (await wholeLog(id)).length === 5);
    assert.equal((await davit(words('--tail', '2'))).stdout, '4\n5\n');
    assert.equal((await davit(words('--since', '1h'))).stdout, '1\n2\n3\n4\n5\n');
    const { stdout } = await davit(words('--timestamps'));
    const [time = ''] = (stdout.split('\n').at(2) ?? '').split(' ');
    assert.match(stdout, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z 3$/m);
    assert.match((await davit(words('--since', time))).stdout, /3\n4\n5\n$/);
    assert.equal((await davit(words('--since', '2999-01-01T00:00:00Z'))).stdout, '');
  });

  it('chooses the service, and names those there are when it is not found', async () => {
    await startService('web', 'trap "exit 0" TERM; echo from web; while true; do sleep 0.1; done');
    const { exitCode, document } = await davitJson(words('--service', 'main'));
    assert.equal(exitCode, 3);
    assert.equal(valueAt(document, 'error', 'code'), 'service-not-found');
    assert.match(String(valueAt(document, 'error', 'hint')), /web/);
    await until(async () => (await davit(words('--service', 'web'))).stdout === 'from web\n');
  });

  it('shows all services in the order of time, each line with whose it is', async () => {
    const say = (words: string) =>
      `trap "exit 0" TERM; for n in 1 2 3; do echo ${words} $n; sleep 0.1; done; sleep 1000`;
    const ids = [await startService('web', say('from web')), await startService('database', say('from database'))];
    for (const id of ids) await until(async () => (await wholeLog(id)).length === 3);
    const lines = (await davit(words())).stdout.trimEnd().split('\n');
    assert.deepEqual([...lines].sort(), [
      'database | from database 1',
      'database | from database 2',
      'database | from database 3',
      'web      | from web 1',
      'web      | from web 2',
      'web      | from web 3',
    ]);
    const shown = listAt((await davitJson(words())).document, 'lines');
    const times = shown.map((line) => String(valueAt(line, 'time')));
    assert.deepEqual(times, [...times].sort());
    assert.equal((await davit(words('--service', 'web', '--tail', '1'))).stdout, 'from web 3\n');
  });

  it('follows services that come later, as lines of JSON where those are wanted', async (t) => {
    await startService('main', counter);
    const { child, lines } = following(t, words('--follow', '--json'));
    await until(() => lines().length > 5);
    await startService('later', counter);
    const parsed = () => lines().map((line): unknown => JSON.parse(line));
    await until(() => parsed().filter((line) => valueAt(line, 'source') === 'later').length > 5);
    assert.equal(await ended(child), 130);
    const later = parsed().filter((line) => valueAt(line, 'source') === 'later');
    assert.deepEqual(
      later.slice(0, 3).map((line) => [valueAt(line, 'device'), valueAt(line, 'text')]),
      ['line 1', 'line 2', 'line 3'].map((text) => ['127.0.0.1', text]),
    );
  });

  it('shows several devices, of which one that is away fails alone', async () => {
    const id = await startService('main', 'trap "exit 0" TERM; echo here; sleep 1000');
    await until(async () => (await wholeLog(id)).length === 1);
    const both = ['logs', '127.0.0.1', '127.0.0.2', '--engine-port', String(engine.port), '--port', '1'];
    const { exitCode, stdout, stderr } = await davit(both);
    assert.equal(exitCode, 5);
    assert.match(stdout, /here/);
    assert.match(stderr, /1 of 2 devices failed: 127\.0\.0\.2/);
  });

  it('goes on without a gap or a repeat after the connection was cut', async (t) => {
    const id = await startService('main', counter);
    const proxy = await startProxy(t, engine.port);
    const { child, lines } = following(t, ['logs', '127.0.0.1', '--engine-port', String(proxy.port), '--follow']);
    await until(() => lines().length > 20);
    for (let cut = 1; cut <= 3; cut++) {
      await proxy.cut();
      const before = lines().length;
      await proxy.mend();
      await until(() => lines().length > before + 50);
    }
    assert.equal(await ended(child), 130);
    const shown = lines();
    assert.deepEqual(shown, (await wholeLog(id)).slice(0, shown.length));
  });

  it('goes on without a gap or a repeat after the engine was restarted', async (t) => {
    const id = await startService('main', counter);
    const { child, lines } = following(t, words('--follow'));
    await until(() => lines().length > 20);
    await engine.stop();
    const before = lines().length;
    await engine.start();
    await until(() => lines().length > before + 50);
    assert.equal(await ended(child), 130);
    const shown = lines();
    assert.deepEqual(shown, (await wholeLog(id)).slice(0, shown.length));
  });

  it('waits with --timeout for a device that does not answer yet', async (t) => {
    await startService('main', 'trap "exit 0" TERM; echo here; while true; do sleep 0.1; done');
    await engine.stop();
    assert.equal((await davit(words('--port', '1'))).exitCode, 6);
    const { child, lines } = following(t, words('--port', '1', '--timeout', '30'));
    await engine.start();
    await once(child, 'close');
    assert.equal(child.exitCode, 0);
    assert.ok(lines().includes('here'));
  });

  it('ends when nobody reads it any more', async (t) => {
    await startService('main', counter);
    const { child, lines } = following(t, words('--follow'));
    await until(() => lines().length > 2);
    child.stdout?.destroy();
    await once(child, 'close');
    assert.equal(child.exitCode, 0);
  });

  it('goes on with the container of a new push', async (t) => {
    const first = await startService('main', 'trap "exit 0" TERM; echo old; while true; do sleep 0.1; done');
    const { child, lines } = following(t, words('--follow'));
    await until(() => lines().includes('old'));
    await removeContainer(engine.connection, first);
    await startService('main', 'trap "exit 0" TERM; echo new; while true; do sleep 0.1; done');
    await until(() => lines().includes('new'));
    assert.equal(await ended(child), 130);
    assert.deepEqual(lines(), ['old', 'new']);
  });
});

/** A TCP port that leads to the engine's, and a cable to cut. */
async function startProxy(t: TestContext, target: number) {
  const open = new Set<net.Socket>();
  const server = net.createServer((near) => {
    const far = net.connect(target, '127.0.0.1');
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        near.destroy();
        far.destroy();
        open.delete(socket);
      });
    }
    near.pipe(far).pipe(near);
  });
  let port = 0;
  const mend = async () => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  const cut = async () => {
    server.close();
    for (const socket of open) socket.resetAndDestroy();
    if (server.listening) await once(server, 'close');
  };
  await mend();
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  port = address.port;
  t.after(cut);
  return { port, cut, mend };
}
