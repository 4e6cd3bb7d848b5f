import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createContainer, startContainer } from '../../src/lib/engine/containers.js';
import { run, runChecked } from '../../src/lib/platform/child-process.js';
import { importBaseImage } from '../support/base-image.js';
import { type WatchedDavit, watchDavit } from '../support/davit.js';
import { engineSkipReason, startEngine } from '../support/engine.js';
import { createNetwork, networkSkipReason } from '../support/network-namespace.js';
import { seededRandom } from '../support/seeded-random.js';
import { sshServerSkipReason, startSshServer } from '../support/ssh-server.js';
import { userHome } from '../support/user-home.js';

const skip = networkSkipReason() || engineSkipReason() || sshServerSkipReason();

describe('when the cable of a device is pulled for 20 s', { skip, timeout: 300_000 }, () => {
  it('copies, logs and tunnels go on where they were, and a command ends with 6', async (t) => {
    const { environment } = await userHome(t);
    const [here, there] = [path.join(environment.HOME, 'here'), path.join(environment.HOME, 'there')];
    await Promise.all([here, there].map((folder) => mkdir(folder)));
    const bytes = 30_000_000;
    const content = seededRandom(3).bytes(bytes);
    await Promise.all([here, there].map((folder) => writeFile(path.join(folder, 'big'), content)));

    const device = await slowDevice(t);
    const login = ['--port', String(device.sshPort), '--identity', device.identityFile];
    const start = (...words: string[]) => {
      const davit = watchDavit([...words, ...login], { environment, wrapper: device.wrapper });
      t.after(() => davit.child.kill('SIGKILL'));
      return davit;
    };
    const met = await start('cp', `${device.address}:${path.join(there, 'big')}.none`, here).result;
    assert.equal(met.exitCode, 3, met.stderr);

    const up = start('cp', path.join(here, 'big'), `${device.address}:${path.join(there, 'up')}`, '--progress', 'json');
    const down = start(
      'cp',
      `${device.address}:${path.join(there, 'big')}`,
      path.join(here, 'down'),
      '--progress',
      'json',
    );
    // Over SSH, and over the engine's open port.
    const logs = ['1', '2375'].map((port) => start('logs', device.address, '--follow', '--engine-port', port));
    const tunnel = start('tunnel', device.address, `0:${device.greetingPort}`, '--json');
    const command = watchDavit(['ssh', device.address, ...login, '--', 'echo started; sleep 1000'], {
      environment,
      wrapper: device.wrapper,
    });
    t.after(() => command.child.kill('SIGKILL'));
    const hasBegun = (copy: WatchedDavit) => /"current":\s*[3-9]\d{6}/.test(copy.output());
    await until(() => hasBegun(up) && hasBegun(down));
    await until(() => logs.every((log) => log.output().includes('line 20')) && command.output().includes('started'));
    await until(() => tunnel.output().includes('}'));

    const pulledAt = performance.now();
    await device.setConnected(false);
    const ended = await command.result;
    const noticedAfter = (performance.now() - pulledAt) / 1000;
    assert.equal(ended.exitCode, 6, ended.stderr);
    assert.match(ended.stderr, /the connection to .* was lost/);
    // The text says 10 s; a loaded machine may need a little more.
    assert.ok(noticedAfter < 15, `noticed after ${noticedAfter.toFixed(1)} s`);
    await sleep(20_000 - (performance.now() - pulledAt));
    for (const one of [up, down, tunnel, ...logs]) assert.equal(one.child.exitCode, null, one.output());
    const linesBefore = logs.map((log) => linesOf(log).length);
    await device.setConnected(true);

    for (const copy of [up, down]) assert.equal((await copy.result).exitCode, 0, copy.output().slice(-3000));
    assert.ok((await readFile(path.join(there, 'up'))).equals(content));
    assert.ok((await readFile(path.join(here, 'down'))).equals(content));
    assert.deepEqual((await readdir(there)).toSorted(), ['big', 'up']);
    // What had been passed was not passed again, but for what was under way.
    const passed = await device.bytesPassed();
    for (const one of [passed.in, passed.out]) assert.ok(one < bytes * 1.35, `${one} bytes for a file of ${bytes}`);

    await until(() => logs.every((log, index) => linesOf(log).length > (linesBefore[index] ?? 0) + 100));
    for (const log of logs) {
      const expected = linesOf(log).map((_, index) => `line ${index + 1}`);
      assert.deepEqual(linesOf(log), expected);
      assert.match(log.output(), /trying again until Ctrl-C[\s\S]*connected to .* again/);
    }
    await until(() => tunnel.output().includes('Connected again'));
    const [, port] = /"port":\s*(\d+)/.exec(tunnel.output()) ?? [];
    const greeted = await run(device.wrapper[0] ?? '', [
      ...device.wrapper.slice(1),
      'bash',
      '-c',
      `head -c 5 < /dev/tcp/127.0.0.1/${String(port)}`,
    ]);
    assert.equal(greeted.stdout, 'hello');
    for (const one of [...logs, tunnel]) {
      one.child.kill('SIGINT');
      assert.equal((await one.result).exitCode, 130);
    }
  });
});

function linesOf(logs: WatchedDavit): string[] {
  return logs
    .output()
    .split('\n')
    .slice(0, -1)
    .filter((line) => line.startsWith('line '));
}

/** A device behind a cable of 20 Mbit/s, in production mode, whose service prints numbered lines. */
async function slowDevice(t: TestContext) {
  const engine = await startEngine();
  t.after(() => engine.close());
  await importBaseImage(engine.connection);
  const count = 'n=0; while true; do n=$((n+1)); echo line $n; sleep 0.05; done';
  const HostConfig = { NetworkMode: 'host' };
  const spec = { Image: 'base', Cmd: ['sh', '-c', count], Tty: false, HostConfig };
  await startContainer(engine.connection, await createContainer(engine.connection, 'main_1_1_10ca12e1ea5e', spec));

  const network = await createNetwork([{ hostname: 'aaaaaa1', port: false }]);
  t.after(() => network.close());
  const [device] = network.devices;
  if (device?.ipv4 === undefined) throw new Error('the device has no address');
  const { namespace, ipv4: address, setConnected } = device;
  for (const [where, name] of [
    [namespace, 'eth0'],
    [network.host, 'port0'],
  ] as const) {
    const shaping = ['qdisc', 'add', 'dev', name, 'root', 'tbf', 'rate', '20mbit', 'burst', '32k', 'latency', '50ms'];
    await runChecked('making the cable slow', 'ip', ['netns', 'exec', where, 'tc', ...shaping]);
  }
  const ownRun =
    'mount -t tmpfs tmpfs /run && mkdir /run/sshd && touch /run/balena-engine.sock && ' +
    'mount --bind "$0" /run/balena-engine.sock && exec "$@"';
  const server = await startSshServer({
    wrapper: ['nsenter', `--net=/run/netns/${namespace}`, 'unshare', '-m', 'sh', '-c', ownRun, engine.socket],
    configuration: ['Subsystem sftp internal-sftp', 'ClientAliveInterval 1', 'ClientAliveCountMax 2'],
  });
  t.after(() => server.close());
  for (const serve of [
    '(socket) => socket.end("hello")).listen(7777, "127.0.0.1"',
    `(socket) => socket.on("error", () => 0).pipe(net.connect("${engine.socket}").on("error", () => 0)).pipe(socket)).listen(2375, "0.0.0.0"`,
  ]) {
    const program = device.start(process.execPath, ['-e', `net.createServer(${serve}, () => console.log("ready"))`]);
    if (program.stdout === null) throw new Error('standard output is not a pipe');
    await once(program.stdout, 'data');
  }

  const passedBefore = await passedThrough(namespace);
  return {
    address,
    wrapper: network.wrapper,
    sshPort: server.port,
    identityFile: server.identityFile,
    greetingPort: 7777,
    setConnected,
    bytesPassed: async () => {
      const passed = await passedThrough(namespace);
      return { in: passed.in - passedBefore.in, out: passed.out - passedBefore.out };
    },
  };
}

async function passedThrough(namespace: string): Promise<{ readonly in: number; readonly out: number }> {
  const text = await runChecked('counting bytes', 'ip', ['-n', namespace, '-j', '-s', 'link', 'show', 'eth0']);
  const [link] = JSON.parse(text) as { readonly stats64: Record<'rx' | 'tx', { readonly bytes: number }> }[];
  if (link === undefined) throw new Error('there is no eth0');
  return { in: link.stats64.rx.bytes, out: link.stats64.tx.bytes };
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 90_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, 'the condition has come true in time');
    await sleep(50);
  }
}
