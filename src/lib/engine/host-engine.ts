import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { Duplex } from 'node:stream';
import { Failure } from '../failure/failure.js';
import { systemErrorCode } from '../failure/while-doing.js';
import { childEnvironment, environmentVariable, folders } from '../platform/environment.js';
import { isRecord } from '../platform/json.js';
import { connectTcp } from '../platform/tcp.js';
import { valueAt } from './engine-answer.js';
import type { EngineConnection } from './engine-connection.js';

/** Where an engine is, as docker has it. */
export interface HostEngineAddress {
  /** `unix:///var/run/docker.sock`, `tcp://build.local:2375`, `ssh://me@build.local`, `npipe:////./pipe/docker_engine` */
  readonly url: string;
  /** Whether TLS belongs to it. */
  readonly isTls: boolean;
}

/**
 * The engine of this computer, which is the one that the docker program would use: of `DOCKER_HOST`, of the current context, or the usual
 * one. Connects to nothing yet.
 */
export async function hostEngine(): Promise<EngineConnection> {
  const { url, isTls } = await hostEngineAddress();
  return {
    description: url,
    connect: async () => {
      try {
        return await connectTo(url, isTls);
      } catch (error) {
        const message = `no container engine answers on this computer at ${url}`;
        throw new Failure('unreachable', 'host-engine-unreachable', message, {
          hint: 'Start Docker, or name another engine with DOCKER_HOST or docker context use',
          cause: error,
        });
      }
    },
  };
}

/** Where the docker program would look for its engine. */
export async function hostEngineAddress(): Promise<HostEngineAddress> {
  const url = environmentVariable('DOCKER_HOST');
  if (url !== undefined) return { url, isTls: environmentVariable('DOCKER_TLS_VERIFY') !== undefined };
  const folder = environmentVariable('DOCKER_CONFIG') ?? path.join(folders.home(), '.docker');
  const current = valueAt(await jsonIn(path.join(folder, 'config.json')), 'currentContext');
  const context = environmentVariable('DOCKER_CONTEXT') ?? (typeof current === 'string' ? current : '');
  if (context !== '' && context !== 'default') return contextAddress(folder, context);
  if (process.platform === 'win32') return { url: 'npipe:////./pipe/docker_engine', isTls: false };
  return { url: `unix://${await firstSocket(folder)}`, isTls: false };
}

/** Contexts are kept by the digests of their names (docker/cli, cli/context/store). */
async function contextAddress(folder: string, context: string): Promise<HostEngineAddress> {
  const digest = createHash('sha256').update(context).digest('hex');
  const file = path.join(folder, 'contexts', 'meta', digest, 'meta.json');
  const url = valueAt(await jsonIn(file), 'Endpoints', 'docker', 'Host');
  if (typeof url !== 'string' || url === '') {
    throw new Failure('not-found', 'docker-context-not-found', `docker has no context "${context}"`, {
      hint: 'docker context ls lists those that there are',
    });
  }
  const tls = path.join(folder, 'contexts', 'tls', digest);
  return { url, isTls: await isThere(tls) };
}

/** The usual socket, or that of Docker Desktop or of a Docker without root. */
async function firstSocket(folder: string): Promise<string> {
  const usual = '/var/run/docker.sock';
  const runtime = environmentVariable('XDG_RUNTIME_DIR');
  const others = [
    path.join(folder, 'run', 'docker.sock'),
    ...(runtime === undefined ? [] : [`${runtime}/docker.sock`]),
  ];
  for (const socket of [usual, ...others]) if (await isThere(socket)) return socket;
  return usual;
}

async function connectTo(url: string, isTls: boolean): Promise<Duplex> {
  const [, scheme = '', rest = ''] = /^([a-z]+):\/\/(.*)$/.exec(url) ?? [];
  if (scheme === 'unix') return connected(rest);
  if (scheme === 'npipe') return connected(rest.replaceAll('/', '\\'));
  if (scheme === 'tcp' && !isTls) {
    const { hostname, port } = new URL(`http://${rest}`);
    return connectTcp({ address: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 2375), timeoutMs: 10_000 });
  }
  return throughDocker();
}

function connected(socketPath: string): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.removeListener('error', reject);
      resolve(socket);
    });
  });
}

/** The docker program knows every other way: SSH, TLS, and what else a context may be. */
function throughDocker(): Duplex {
  const child = spawn('docker', ['system', 'dial-stdio'], {
    env: childEnvironment(),
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const stream = Duplex.from({ readable: child.stdout, writable: child.stdin });
  child.on('error', (error) => {
    stream.destroy(error);
  });
  stream.on('close', () => {
    child.kill();
  });
  return stream;
}

async function jsonIn(file: string): Promise<unknown> {
  try {
    const content: unknown = JSON.parse(await readFile(file, 'utf8'));
    return isRecord(content) ? content : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || systemErrorCode(error) !== undefined) return undefined;
    throw error;
  }
}

async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
