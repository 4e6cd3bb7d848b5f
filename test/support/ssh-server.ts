import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync } from 'node:fs';
import { appendFile, chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
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
  /** Types of its host keys: `ed25519` (alone by default), `ecdsa`, `rsa`. */
  readonly hostKeyTypes?: readonly string[];
  /** What its sessions find in /mnt/boot/config.json, as on a device. */
  readonly configJson?: object;
}

/** A real OpenSSH server with host keys and a user key of its own. */
export interface SshServer {
  readonly port: number;
  /** The private key that it accepts for root. */
  readonly identityFile: string;
  /** A private key that it does not accept. */
  readonly wrongIdentityFile: string;
  /** The public key of that. */
  publicKey: () => Promise<string>;
  /** Lets another public key in as well. */
  accept: (publicKey: string) => Promise<void>;
  /** Its first host key as a known-hosts file has it: type and key. */
  hostKey: () => Promise<string>;
  /** Shows keys of these types; those that it had stay the same. */
  setHostKeyTypes: (types: readonly string[]) => Promise<void>;
  /** The fingerprint of its first host key as OpenSSH prints it. */
  hostFingerprint: () => Promise<string>;
  /** Makes new host keys, as a device that was flashed anew has. */
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
  await Promise.all(['accepted', 'other'].map((name) => makeKey(file(name))));
  await writeFile(file('authorized_keys'), await readFile(`${file('accepted')}.pub`));
  const port = options.port ?? (await freePort());
  let types = options.hostKeyTypes ?? ['ed25519'];
  const hostKeyFile = (type = types[0]) => file(`host_key_${String(type)}`);
  const configure = () =>
    writeFile(
      file('sshd_config'),
      [
        ...(options.configuration ?? []),
        `Port ${port}`,
        ...types.map((type) => `HostKey ${hostKeyFile(type)}`),
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
  await configure();
  await Promise.all(types.map((type) => makeKey(hostKeyFile(type), type)));
  const bootPartition =
    options.configJson === undefined
      ? []
      : ['unshare', '-m', 'sh', '-c', withConfigJson, 'sh', JSON.stringify(options.configJson)];
  const logged: string[] = [];
  const start = async () => {
    const [command, ...rest] = [
      ...(options.wrapper ?? []),
      ...bootPartition,
      sshd,
      '-D',
      '-e',
      '-f',
      file('sshd_config'),
    ];
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
    publicKey: () => readFile(`${file('accepted')}.pub`, 'utf8'),
    accept: (publicKey) => appendFile(file('authorized_keys'), publicKey),
    wrongIdentityFile: file('other'),
    hostFingerprint: async () => {
      const line = await runChecked('reading the fingerprint', 'ssh-keygen', ['-l', '-f', hostKeyFile()]);
      return line.split(' ')[1] ?? '';
    },
    hostKey: async () => (await readFile(`${hostKeyFile()}.pub`, 'utf8')).split(' ').slice(0, 2).join(' '),
    setHostKeyTypes: async (wanted) => {
      await end(server);
      await Promise.all(wanted.filter((type) => !types.includes(type)).map((type) => makeKey(hostKeyFile(type), type)));
      types = wanted;
      await configure();
      server = await start();
    },
    changeHostKey: async () => {
      await end(server);
      await Promise.all(types.map((type) => makeKey(hostKeyFile(type), type)));
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

/** A shell script that gives what follows a /mnt/boot of its own. */
const withConfigJson =
  'mount -t tmpfs tmpfs /mnt && mkdir /mnt/boot && printf %s "$1" > /mnt/boot/config.json && shift && exec "$@"';

async function makeKey(file: string, type = 'ed25519'): Promise<void> {
  await Promise.all([rm(file, { force: true }), rm(`${file}.pub`, { force: true })]);
  await runChecked('making a key', 'ssh-keygen', ['-q', '-t', type, '-N', '', '-f', file]);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}
