import type { Duplex } from 'node:stream';
import type { DeviceRoute } from '../discovery/device-route.js';
import { Failure } from '../failure/failure.js';
import type { HostAndPort } from '../fleet/account.js';
import { shellWord } from '../platform/shell-word.js';
import type { ProgressListener } from '../platform/progress.js';
import { HostKeyStore } from '../ssh/host-key-store.js';
import { hostSettings } from '../ssh/host-settings.js';
import { openSsh, type SshOptions } from '../ssh/open-ssh.js';
import type { SftpFiles } from '../ssh/sftp-files.js';
import type { RemoteProcess, RemoteTerminal } from '../platform/remote-program.js';
import { SshConnection } from '../ssh/ssh-connection.js';

/** The device behind a proxy, and who wants to go there. */
interface Behind {
  /** The user of the account, whose keys the proxy knows. */
  readonly user: string;
  readonly route: DeviceRoute;
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

/**
 * Logs in to the SSH proxy of a cloud, which runs commands on devices: `ssh <user>@ssh.<domain> host <uuid> <command>`. Its host key is
 * pinned under its own name; that of the device is the proxy's business.
 */
export async function openThroughSshProxy(
  { host, port }: HostAndPort,
  { user, route, signal, progress }: Behind,
  options: SshOptions,
): Promise<SshConnection> {
  const { identityFile, askPassphrase } = options;
  const settings = await hostSettings(host, signal).catch(() => undefined);
  const target = { name: host, address: host, settings, signal, progress, isBetween: true };
  return openSsh(
    target,
    { port, user, identityFile, askPassphrase },
    new HostKeyStore(),
    (...parts) => new ProxiedConnection(parts, route, signal),
  );
}

/** A connection to the proxy that is used like one to the device behind it, as far as commands alone can do that. */
class ProxiedConnection extends SshConnection {
  readonly #route: DeviceRoute;
  readonly #signal: AbortSignal;
  readonly #sockets = new Map<string, Promise<void>>();

  constructor(parts: ConstructorParameters<typeof SshConnection>, route: DeviceRoute, signal: AbortSignal) {
    const [client] = parts;
    // The key is that of the proxy, which many devices have in common.
    super(client, route.uuid);
    this.#route = route;
    this.#signal = signal;
  }

  override execute(commandLine: string, terminal?: RemoteTerminal): Promise<RemoteProcess> {
    return super.execute(`host ${this.#route.uuid} ${commandLine}`, terminal);
  }

  override executeAsStream(commandLine: string): Promise<Duplex> {
    return super.executeAsStream(`host ${this.#route.uuid} ${commandLine}`);
  }

  override shell(terminal?: RemoteTerminal): Promise<RemoteProcess> {
    return super.execute(`host ${this.#route.uuid}`, terminal);
  }

  /** What runs on the device is not run by the server of this connection: it ends when its input does. */
  override signalPrograms(): Promise<void> {
    return Promise.resolve();
  }

  /** The client of the engine joins its standard input and output with the socket of the engine. */
  override async openUnixSocket(socketPath: string): Promise<Duplex> {
    await this.#requireSocket(socketPath);
    const client = 'if [ -x /usr/bin/balena-engine ]; then echo balena-engine; else echo docker; fi';
    return this.executeAsStream(`"$(${client})" -H ${shellWord(`unix://${socketPath}`)} system dial-stdio`);
  }

  /** The tunnel service leads to the ports of the device itself. */
  override openTcp(host: string, port: number): Promise<Duplex> {
    if (host === '127.0.0.1' || host === 'localhost') return this.#route.openPort(port, this.#signal);
    return Promise.reject(beyondProxy(`connecting to ${host}:${port}`));
  }

  override openFiles(): Promise<SftpFiles> {
    return Promise.reject(beyondProxy('copying files'));
  }

  async #requireSocket(socketPath: string): Promise<void> {
    const test = async () => {
      const { exitCode } = await this.run(`test -S ${shellWord(socketPath)}`);
      if (exitCode === 0) return;
      throw new Failure('unreachable', 'ssh-channel-refused', `${socketPath} is not on the device`);
    };
    const known = this.#sockets.get(socketPath) ?? test();
    this.#sockets.set(socketPath, known);
    return known;
  }
}

function beyondProxy(what: string): Failure {
  return new Failure('refused', 'beyond-proxy', `${what} is more than the SSH proxy does, which runs commands only`, {
    hint: 'Let the device accept your key itself: add it to os.sshKeys of its config.json, or to your account for a device with OS 2.44 or later',
  });
}
