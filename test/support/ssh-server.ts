import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { runChecked } from '../../src/lib/platform/child-process.js';

const sshd = '/usr/sbin/sshd';

/** Why tests that need an SSH server cannot run here, or false when they can: pass it as `{ skip }`. */
export function sshServerSkipReason(): string | false {
  if (process.getuid?.() !== 0) return 'a server that logs in root needs root';
  try {
    accessSync(sshd);
    return false;
  } catch {
    return 'the OpenSSH server is not installed';
  }
}

/** What an SSH server is like; without options it accepts the key of `identityFile` for root, as a device in production mode. */
export interface SshServerOptions {
  readonly port?: number;
  /** Puts words before the server's command line, such as `ip netns exec device`. */
  readonly wrapper?: readonly string[];
  /** Lines of sshd_config; the first value of an option wins. */
  readonly configuration?: readonly string[];
}

/** A real OpenSSH server with host keys and a user key of its own. */
export interface SshServer {
  readonly port: number;
  /** The private key that it accepts for root. */
  readonly identityFile: string;
  /** A private key that it does not accept. */
  readonly wrongIdentityFile: string;
  /** The fingerprint of its host key as OpenSSH prints it. */
  hostFingerprint: () => Promise<string>;
  /** Makes a new host key, as a device that was flashed anew has. */
  changeHostKey: () => Promise<void>;
  /** Its process, for `nsenter`. */
  pid: () => number;
  /** Everything it has logged. */
  log: () => string;
  close: () => Promise<void>;
}

/** Starts an OpenSSH server; resolves once it accepts connections. */
export async function startSshServer(options: SshServerOptions = {}): Promise<SshServer> {
  // Keys under /tmp would fail sshd's check of its folders' modes only if strict; it is off below.
  const folder = await mkdtemp('/tmp/davit-sshd-');
  const file = (name: string) => path.join(folder, name);
  await chmod(folder, 0o755);
  await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  await Promise.all(['host_key', 'accepted', 'other'].map((name) => makeKey(file(name))));
  await writeFile(file('authorized_keys'), await readFile(`${file('accepted')}.pub`));
  const port = options.port ?? (await freePort());
  await writeFile(
    file('sshd_config'),
    [
      ...(options.configuration ?? []),
      `Port ${port}`,
      `HostKey ${file('host_key')}`,
      `AuthorizedKeysFile ${file('authorized_keys')}`,
      `PidFile ${file('pid')}`,
      'PermitRootLogin yes',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'StrictModes no',
      'UsePAM no',
      'LogLevel INFO',
      'AcceptEnv none',
      '',
    ].join('\n'),
  );
  const logged: string[] = [];
  const start = async () => {
    const [command, ...rest] = [...(options.wrapper ?? []), sshd, '-D', '-e', '-f', file('sshd_config')];
    const child = spawn(command, rest, { stdio: ['ignore', 'ignore', 'pipe'] });
    const lines = createInterface({ input: child.stderr });
    const listening = new Promise<void>((resolve, reject) => {
      lines.on('line', (line) => {
        logged.push(line);
        if (line.startsWith('Server listening')) resolve();
      });
      child.once('exit', () => {
        reject(new Error(`sshd ended at once:\n${logged.join('\n')}`));
      });
    });
    await listening;
    return child;
  };
  let server = await start();
  return {
    port,
    identityFile: file('accepted'),
    wrongIdentityFile: file('other'),
    hostFingerprint: async () => {
      const line = await runChecked('reading the fingerprint', 'ssh-keygen', ['-l', '-f', file('host_key')]);
      return line.split(' ')[1] ?? '';
    },
    changeHostKey: async () => {
      await end(server);
      await makeKey(file('host_key'));
      server = await start();
    },
    pid: () => server.pid ?? 0,
    log: () => logged.join('\n'),
    close: async () => {
      await end(server);
      await rm(folder, { recursive: true });
    },
  };
}

/** A TCP port that nothing listens on. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('the probe has no port');
  return address.port;
}

async function makeKey(file: string): Promise<void> {
  await Promise.all([rm(file, { force: true }), rm(`${file}.pub`, { force: true })]);
  await runChecked('making a key', 'ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}
