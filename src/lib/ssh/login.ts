import type { AuthHandlerMiddleware, Client } from 'ssh2';
import { Failure, interrupted } from '../failure/failure.js';
import { type Credentials, methodName, type Offer, offers, onlyForOpenSsh } from './authentication.js';

/** Key exchange on the slowest boards takes seconds; each attempt to log in gets as long. */
const answerTimeoutMs = 20_000;

/** How long a server may take to say that it is one (RFC 4253, 4.2), which costs it nothing but being started. */
const greetingMs = 10_000;

/** The device to log in to, as far as a login cares. */
export interface LoginTarget {
  readonly name: string;
  readonly signal: AbortSignal;
  /** Whether anything has come from it yet, where that can be told. */
  readonly hasSpoken: () => boolean;
}

/** One login: offers credentials until one is accepted, and turns every way it can fail into one failure. */
export class Login {
  readonly #client: Client;
  readonly #target: LoginTarget;
  readonly #credentials: Credentials;
  readonly #offers: AsyncGenerator<Offer>;
  readonly #refused: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #failWith: (error: unknown) => void = () => undefined;

  constructor(client: Client, target: LoginTarget, credentials: Credentials) {
    this.#client = client;
    this.#target = target;
    this.#credentials = credentials;
    this.#offers = offers(credentials);
  }

  /** Settles when the device has let us in. */
  async run(connect: (failWith: (error: unknown) => void) => void): Promise<void> {
    const { signal } = this.#target;
    const onAbort = () => {
      this.#failWith(interrupted());
    };
    signal.addEventListener('abort', onAbort, { once: true });
    const greeting = setTimeout(() => {
      if (this.#target.hasSpoken()) return;
      this.#failWith(this.#unreachable(`nothing there said within ${greetingMs / 1000} s that it is an SSH server`));
    }, greetingMs);
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
      throw error === refused ? await this.#permissionDenied() : error;
    } finally {
      clearTimeout(greeting);
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
          this.#failWith(refused);
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

  #explain(error: Error & { level?: string }): Error {
    if (error instanceof Failure) return error;
    // Servers end the connection after too many refused keys (MaxAuthTries), by a disconnect message instead of an answer.
    if (this.#refused.length > 1 && error.level === undefined) return refused;
    return this.#unreachable(error.message, error);
  }

  #unreachable(reason: string, cause?: unknown): Failure {
    return new Failure('unreachable', 'ssh-failed', `connecting to ${this.#target.name} by SSH: ${reason}`, {
      hint: 'Check that the device is on, has finished starting and runs an SSH server on this port',
      cause,
    });
  }

  async #permissionDenied(): Promise<Failure> {
    const { user } = this.#credentials;
    const notOffered = await onlyForOpenSsh(this.#credentials);
    const message = `${this.#target.name} does not let ${user} in (offered: ${this.#refused.join(', ')})`;
    return new Failure('permission', 'ssh-login-refused', message, {
      hint:
        notOffered.length > 0
          ? `davit cannot offer certificates and keys on security tokens (${notOffered.join(', ')}); OpenSSH can, with the ` +
            'entry that davit ssh-config prints'
          : 'In production mode a device only accepts the keys listed in os.sshKeys of its config.json; ' +
            'pass the matching key with --identity, or flash an image configured with --ssh-key or --dev',
    });
  }
}

/** Stands for the failure of a login that has been refused to the end, which takes a look at the disk to explain. */
const refused = new Error('refused');
