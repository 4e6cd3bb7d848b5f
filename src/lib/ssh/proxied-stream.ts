import { spawn } from 'node:child_process';
import { Duplex } from 'node:stream';
import { Failure, interrupted } from '../failure/failure.js';
import { childEnvironment } from '../platform/environment.js';
import { limit } from '../platform/limit.js';
import { type HostSettings, hostSettings } from './host-settings.js';
import type { SshConnection } from './ssh-connection.js';

/**
 * The byte stream to a host that a ProxyCommand of the user's makes of its standard input and output. The command runs in the shell, as
 * OpenSSH has it; what it writes to standard error is the user's to see.
 */
export function streamThroughCommand(command: string, signal: AbortSignal): Duplex {
  if (signal.aborted) throw interrupted();
  const child = spawn(process.platform === 'win32' ? command : `exec ${command}`, {
    shell: true,
    env: childEnvironment(),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const stream = Duplex.from({ readable: child.stdout, writable: child.stdin });
  child.on('error', (error) => {
    stream.destroy(error);
  });
  child.on('exit', (code) => {
    if (code !== 0 && code !== null) {
      const message = `the ProxyCommand of your SSH configuration ended with exit code ${code}: ${command}`;
      stream.destroy(new Failure('unreachable', 'proxy-failed', message));
    }
  });
  stream.on('close', () => {
    child.kill();
  });
  return stream;
}

/** A host on the way to another one, and how it is logged in to. */
export interface Jump {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly user: string | undefined;
  readonly settings: HostSettings;
}

/** How long a host on the way may take to reach the next one. */
const reachMs = 15_000;

/**
 * The byte stream to a host through others (ProxyJump), each of them reached through the one before. They are left when the stream closes.
 *
 * @param jumps as in ssh_config(5): `user@host:port`
 * @param open logs in to one of them
 */
export async function streamThroughHosts(
  jumps: readonly string[],
  to: { readonly address: string; readonly port: number },
  signal: AbortSignal,
  open: (jump: Jump) => Promise<SshConnection>,
): Promise<Duplex> {
  const last = jumps.at(-1) ?? '';
  const before = jumps.slice(0, -1);
  const { user, host, port } = parseJump(last);
  const said = await hostSettings(host, signal);
  // What the configuration says of the way to the host counts where the user has given no way to it.
  const settings = before.length === 0 ? said : { ...said, proxy: { jumps: before } };
  const connection = await open({
    name: host,
    address: said.hostName,
    port: port ?? said.port ?? 22,
    user: user ?? said.user,
    settings,
  });
  try {
    const stream = await withinTime(connection.openTcp(to.address, to.port), `${to.address} through ${host}`, signal);
    stream.once('close', () => void connection.close());
    return stream;
  } catch (error) {
    await connection.close();
    throw error;
  }
}

async function withinTime<T>(work: Promise<T>, what: string, signal: AbortSignal): Promise<T> {
  const time = limit(signal, reachMs);
  const end = new Promise<never>((_, reject) => {
    time.signal.addEventListener('abort', () => {
      const message = `nothing answers at ${what} within ${reachMs / 1000} s`;
      reject(signal.aborted ? interrupted() : new Failure('unreachable', 'timeout', message));
    });
  });
  end.catch(() => undefined);
  return Promise.race([work, end]).finally(() => {
    time.end();
  });
}

function parseJump(text: string): {
  readonly user: string | undefined;
  readonly host: string;
  readonly port: number | undefined;
} {
  const parts =
    /^(?:ssh:\/\/)?(?:(?<user>.*)@)?(?:\[(?<v6>[^\]]*)\]|(?<name>[^:]*|.*:.*:.*?))(?::(?<port>\d+))?\/?$/.exec(text);
  const { user, v6, name = '', port } = parts?.groups ?? {};
  return { user, host: v6 ?? name, port: port === undefined ? undefined : Number(port) };
}
