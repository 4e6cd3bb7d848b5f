import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, createWriteStream, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EngineConnection, tcpEngineConnection } from '../../src/lib/engine/engine-connection.js';
import { pingEngine } from '../../src/lib/engine/engine-info.js';
import { listContainers, removeContainer } from '../../src/lib/engine/containers.js';
import { listNetworks, removeNetwork } from '../../src/lib/engine/networks.js';
import { run, type ProcessResult, type RunOptions } from '../../src/lib/platform/child-process.js';

/** Why tests that need an engine cannot run here, or false where they can: pass it as `{ skip }`. */
export function engineSkipReason(): string | false {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'a Docker daemon needs root on Linux';
  try {
    accessSync('/usr/sbin/dockerd');
    return false;
  } catch {
    return 'dockerd (package docker.io) is not installed';
  }
}

/** A real Docker daemon that shares nothing with any other on the machine. */
export interface TestEngine {
  readonly port: number;
  readonly connection: EngineConnection;
  /** Its Unix socket, as the engine of a device in production mode has it alone. */
  readonly socket: string;
  /** Runs the docker client against it. */
  readonly docker: (commandArguments: readonly string[], options?: RunOptions) => Promise<ProcessResult>;
  /** Stops the daemon and its containers; what it stores stays. */
  readonly stop: () => Promise<void>;
  /** Starts it again on the same port. */
  readonly start: () => Promise<void>;
  /** Ends it and removes everything it stored. */
  readonly close: () => Promise<void>;
}

/** Starts a daemon with its own folders on a free port of 127.0.0.1 and waits until it answers. */
export async function startEngine(): Promise<TestEngine> {
  const folder = await mkdtemp(path.join(tmpdir(), 'davit-engine-'));
  const port = await freePort();
  const connection = tcpEngineConnection('127.0.0.1', port);
  const socket = path.join(folder, 'engine.sock');
  const runtime = await boundedRuntime(folder);
  let daemon: ChildProcess | undefined;
  const start = async () => {
    const words = ['--data-root', path.join(folder, 'data'), '--exec-root', path.join(folder, 'exec')];
    words.push(
      '--pidfile',
      path.join(folder, 'pid'),
      '-H',
      `tcp://127.0.0.1:${port}`,
      '--tls=false',
      '-H',
      `unix://${socket}`,
    );
    words.push('--bridge=none', '--iptables=false', ...runtime);
    daemon = spawn('dockerd', words, { stdio: ['ignore', 'ignore', 'pipe'] });
    daemon.stderr?.pipe(createWriteStream(path.join(folder, 'log'), { flags: 'a' }));
    await answering(connection, daemon, path.join(folder, 'log'));
  };
  const stop = async () => {
    if (daemon?.exitCode !== null) return;
    daemon.kill('SIGTERM');
    await once(daemon, 'exit');
  };
  const close = async () => {
    // Containers without a signal handler would make the daemon wait ten seconds for each.
    if (daemon?.exitCode === null)
      for (const container of await listContainers(connection)) await removeContainer(connection, container.id);
    // Their bridges would stay on this machine.
    if (daemon?.exitCode === null)
      for (const { id, name } of await listNetworks(connection))
        if (!['host', 'none', 'bridge'].includes(name)) await removeNetwork(connection, id);
    await stop();
    // The daemon leaves the mount of the host's network namespace behind.
    for (const line of (await readFile('/proc/self/mounts', 'utf8')).split('\n')) {
      const mountPoint = line.split(' ')[1];
      if (mountPoint?.startsWith(`${folder}/`)) await run('umount', [mountPoint]);
    }
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    port,
    connection,
    socket,
    docker: (commandArguments, options = {}) =>
      run('docker', commandArguments, {
        ...options,
        environment: {
          ...options.environment,
          DOCKER_HOST: `tcp://127.0.0.1:${port}`,
          DOCKER_BUILDKIT: '0',
          DOCKER_CONFIG: path.join(folder, 'client'),
        },
      }),
    start,
    stop,
    close,
  };
}

/** A TCP port of 127.0.0.1 on which nothing listens. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function answering(connection: EngineConnection, daemon: ChildProcess, log: string): Promise<void> {
  for (;;) {
    try {
      await pingEngine(connection);
      return;
    } catch (error) {
      if (daemon.exitCode !== null) throw new Error(`dockerd ended:\n${await readFile(log, 'utf8')}`, { cause: error });
      await sleep(50);
    }
  }
}

/**
 * Privileged containers ask for every capability. Where this machine itself lacks one (CAP_SYS_RESOURCE inside some virtual
 * machines), a wrapper round runc takes it out of the request; elsewhere the daemon's own runtime is used.
 */
async function boundedRuntime(folder: string): Promise<readonly string[]> {
  const sysResource = 1n << 24n;
  const bounding = /^CapBnd:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  if ((BigInt(`0x${bounding}`) & sysResource) !== 0n) return [];
  const wrapper = path.join(folder, 'runc-bounded');
  const script = `#!/bin/sh
for word; do
  case $previous in --bundle) spec=$word/config.json ;; --process) spec=$word ;; *) spec= ;; esac
  [ -z "$spec" ] || sed -i -e 's/,"CAP_SYS_RESOURCE"//g' -e 's/"CAP_SYS_RESOURCE",//g' "$spec"
  previous=$word
done
exec runc "$@"
`;
  await writeFile(wrapper, script, { mode: 0o755 });
  return ['--add-runtime', `bounded=${wrapper}`, '--default-runtime', 'bounded'];
}
