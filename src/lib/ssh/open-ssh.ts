import type { Socket } from 'node:net';
import type { Algorithms, ServerHostKeyAlgorithm } from 'ssh2';
import { Failure } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import type { ProgressListener } from '../platform/progress.js';
import { connectTcp } from '../platform/tcp.js';
import { fingerprint, hostKeyOwner, HostKeyStore, type PinnedHostKey, pinOf } from './host-key-store.js';
import { Login } from './login.js';
import { SshConnection } from './ssh-connection.js';
import type { NewHostKeyPermit } from './new-host-key-permit.js';

/** The port of the host OS's SSH server on every balenaOS device. */
export const deviceSshPort = 22222;

const connectTimeoutMs = 5000;
/** A lost link is noticed after four unanswered questions: 8 s. */
const keepAlive = { keepaliveInterval: 2000, keepaliveCountMax: 3 };

/** How to log in to a device; everything has a default. */
export interface SshOptions {
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  /** The only private key to offer; without it, the SSH agent's keys and the usual ones of ~/.ssh. */
  readonly identityFile?: string | undefined;
  readonly askPassphrase?: ((keyFile: string) => Promise<string>) | undefined;
  /** Pin the key that the device shows at the first connection, whatever was pinned before. */
  readonly newHostKeyPermit?: NewHostKeyPermit | undefined;
}

/** Which device to log in to, and what goes with every long operation. */
export interface SshTarget {
  /** What the user calls the device; its host key is pinned under it. */
  readonly name: string;
  readonly address: string;
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

/**
 * Opens an SSH connection. Fails as unreachable when nothing answers, as refused when the device shows another host key than
 * the pinned one, and as a matter of permission when it accepts nothing that was offered.
 */
export async function openSsh(
  target: SshTarget,
  options: SshOptions = {},
  hostKeys: HostKeyStore = new HostKeyStore(),
): Promise<SshConnection> {
  const port = options.port ?? deviceSshPort;
  const owner = hostKeyOwner({ name: target.name, port });
  const pinned = options.newHostKeyPermit?.isLeft === true ? undefined : await hostKeys.find(owner);
  const socket = await connectSocket(target, port);
  const { default: ssh2 } = await import('ssh2');
  const client = new ssh2.Client();
  const login = new Login(client, target, {
    user: options.user ?? 'root',
    identityFile: options.identityFile,
    askPassphrase: options.askPassphrase,
  });
  await login.run((failWith) => {
    client.connect({
      sock: socket,
      username: options.user ?? 'root',
      strictVendor: false,
      readyTimeout: 0,
      ...keepAlive,
      ...(pinned === undefined ? {} : { algorithms: preferring(pinned) }),
      hostVerifier: (key: Buffer, verify: (isGood: boolean) => void) => {
        checkHostKey(pinOf(key)).then(
          () => {
            verify(true);
          },
          (error: unknown) => {
            failWith(error);
            verify(false);
          },
        );
      },
      authHandler: login.authHandler,
    });
  });
  return new SshConnection(client, target.name);

  async function checkHostKey(shown: PinnedHostKey): Promise<void> {
    const notice = (text: string) => {
      target.progress({ type: 'notice', level: 'info', text: `${text} ${fingerprint(shown)}` });
    };
    if (options.newHostKeyPermit?.isLeft === true) {
      options.newHostKeyPermit.use();
      await hostKeys.replace(owner, shown);
      notice(`Remembering ${target.name} by the host key it has now:`);
      return;
    }
    const known = pinned ?? (await hostKeys.pinFirst(owner, shown));
    if (known.type !== shown.type || known.key !== shown.key) throw changedHostKey(target.name, known, shown);
    if (pinned === undefined) notice(`First connection to ${target.name}: remembering its host key`);
  }
}

async function connectSocket({ name, address, signal }: SshTarget, port: number): Promise<Socket> {
  try {
    return await connectTcp({ address, port, timeoutMs: connectTimeoutMs, signal });
  } catch (error) {
    throw whileDoing(`connecting to ${name}`, error, {
      hint:
        systemErrorCode(error) === 'ECONNREFUSED'
          ? `The computer at ${address} is on but has no SSH server on port ${port}. Check that it runs the OS you expect, or pass --port`
          : `Check that the device is on and in this network; davit scan lists the devices that are`,
    });
  }
}

function changedHostKey(name: string, known: PinnedHostKey, shown: PinnedHostKey): Failure {
  return new Failure(
    'refused',
    'host-key-changed',
    `the host key of ${name} has changed: it was ${fingerprint(known)} (${known.type}), now it is ${fingerprint(shown)} (${shown.type})`,
    {
      hint: `If the device was flashed anew or replaced, accept its new key: davit ssh ${name} --accept-new-host-key. If not, someone may be posing as it`,
    },
  );
}

/** Asks for the pinned key's type first, so that a device with several keys shows the one we know. */
function preferring(pinned: PinnedHostKey): Algorithms {
  const known: readonly ServerHostKeyAlgorithm[] = [
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
    'rsa-sha2-512',
    'rsa-sha2-256',
    'ssh-rsa',
  ];
  const isPinned = (name: string) => name === pinned.type || (pinned.type === 'ssh-rsa' && name.startsWith('rsa-'));
  return { serverHostKey: [...known.filter(isPinned), ...known.filter((name) => !isPinned(name))] };
}
