import type { Socket } from 'node:net';
import type { Algorithms, AuthHandlerMiddleware, Client, ServerHostKeyAlgorithm } from 'ssh2';
import { Failure, interrupted } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import type { ProgressListener } from '../platform/progress.js';
import { connectTcp } from '../platform/tcp.js';
import { type Credentials, methodName, type Offer, offers } from './authentication.js';
import { fingerprint, hostKeyOwner, HostKeyStore, type PinnedHostKey, pinOf } from './host-key-store.js';
import { SshConnection } from './ssh-connection.js';

/** The port of the host OS's SSH server on every balenaOS device. */
export const deviceSshPort = 22222;

const connectTimeoutMs = 5000;
/** Key exchange on the slowest boards takes seconds; each attempt to log in gets as long. */
const answerTimeoutMs = 20_000;
/** A lost link is noticed after four unanswered questions: 8 s. */
const keepAlive = { keepaliveInterval: 2000, keepaliveCountMax: 3 };

/** How to log in to a device; everything has a default. */
export interface SshOptions {
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  /** The only private key to offer; without it, the SSH agent's keys and the usual ones of ~/.ssh. */
  readonly identityFile?: string | undefined;
  readonly askPassphrase?: ((keyFile: string) => Promise<string>) | undefined;
  /** Pin the key that the device shows now, whatever was pinned before. */
  readonly acceptNewHostKey?: boolean | undefined;
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
  const pinned = options.acceptNewHostKey === true ? undefined : await hostKeys.find(owner);
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
    if (options.acceptNewHostKey === true) {
      await hostKeys.replace(owner, shown);
      return;
    }
    const known = pinned ?? (await hostKeys.pinFirst(owner, shown));
    if (known.type !== shown.type || known.key !== shown.key) throw changedHostKey(target.name, known, shown);
    if (pinned !== undefined) return;
    const text = `First connection to ${target.name}: remembering its host key ${fingerprint(shown)}`;
    target.progress({ type: 'notice', level: 'info', text });
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

/** One login: offers credentials until one is accepted, and turns every way it can fail into one failure. */
class Login {
  readonly #client: Client;
  readonly #target: SshTarget;
  readonly #user: string;
  readonly #offers: AsyncGenerator<Offer>;
  readonly #refused: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #failWith: (error: unknown) => void = () => undefined;

  constructor(client: Client, target: SshTarget, credentials: Credentials) {
    this.#client = client;
    this.#target = target;
    this.#user = credentials.user;
    this.#offers = offers(credentials);
  }

  /** Settles when the device has let us in. */
  async run(connect: (failWith: (error: unknown) => void) => void): Promise<void> {
    const { signal } = this.#target;
    const onAbort = () => {
      this.#failWith(interrupted());
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await new Promise<void>((resolve, reject: (error: unknown) => void) => {
        this.#failWith = reject;
        this.#client.once('ready', resolve);
        this.#client.once('close', () => {
          reject(this.#unreachable('it closed the connection'));
        });
        this.#client.on('error', (error: Error & { level?: string }) => {
          // An agent that is not there is one offer less.
          if (error.level !== 'agent') reject(this.#explain(error));
        });
        this.#startTimer();
        if (signal.aborted) onAbort();
        else connect(reject);
      });
    } catch (error) {
      this.#client.destroy();
      throw error;
    } finally {
      clearTimeout(this.#timer);
      signal.removeEventListener('abort', onAbort);
      await this.#offers.return(undefined);
    }
  }

  readonly authHandler: AuthHandlerMiddleware = (accepted, _partialSuccess, next) => {
    clearTimeout(this.#timer);
    this.#nextOffer(accepted).then(
      (offer) => {
        if (offer === undefined) {
          this.#failWith(this.#permissionDenied());
          return;
        }
        this.#startTimer();
        next(offer.method);
      },
      (error: unknown) => {
        this.#failWith(error);
      },
    );
  };

  /** @param accepted the methods the device accepts; null before the first answer, whatever the type says */
  async #nextOffer(accepted: readonly string[] | null): Promise<Offer | undefined> {
    for (;;) {
      const next = await this.#offers.next();
      if (next.done === true) return undefined;
      if (accepted !== null && !accepted.includes(methodName(next.value))) continue;
      this.#refused.push(next.value.label);
      return next.value;
    }
  }

  #startTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#failWith(this.#unreachable(`it did not answer within ${answerTimeoutMs / 1000} s`));
    }, answerTimeoutMs);
  }

  #explain(error: Error & { level?: string }): Failure {
    // Servers end the connection after too many refused keys (MaxAuthTries), by a disconnect message instead of an answer.
    if (this.#refused.length > 1 && error.level === undefined) return this.#permissionDenied(error);
    const wrapped = whileDoing(`connecting to ${this.#target.name} by SSH`, error);
    return wrapped instanceof Failure ? wrapped : this.#unreachable(error.message, error);
  }

  #unreachable(reason: string, cause?: unknown): Failure {
    return new Failure('unreachable', 'ssh-failed', `connecting to ${this.#target.name} by SSH: ${reason}`, {
      hint: 'Check that the device is on, has finished starting and runs an SSH server on this port',
      cause,
    });
  }

  #permissionDenied(cause?: unknown): Failure {
    return new Failure(
      'permission',
      'ssh-login-refused',
      `${this.#target.name} does not let ${this.#user} in (offered: ${this.#refused.join(', ')})`,
      {
        hint:
          'In production mode a device only accepts the keys listed in os.sshKeys of its config.json; ' +
          'pass the matching key with --identity, or flash an image configured with --ssh-key or --dev',
        cause,
      },
    );
  }
}
