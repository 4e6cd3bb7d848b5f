import { constants } from 'node:os';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Client, ClientChannel, PseudoTtyOptions, SFTPWrapper } from 'ssh2';
import { Failure } from '../failure/failure.js';
import type { RemoteExit, RemoteProcess, RemoteTerminal } from '../platform/remote-program.js';
import { remoteCommandLine } from './quote-command.js';
import { SftpFiles } from './sftp-files.js';

/** One SSH connection to a device; everything davit does over SSH with that device goes through it. */
export class SshConnection {
  /** Fingerprint of the device's host key as OpenSSH prints it. */
  readonly hostKey: string | undefined;
  /** The UUID that the device said it has; it is asked only when its host key is new. */
  uuid: string | undefined;

  readonly #client: Client;
  readonly #name: string;
  /** Settles when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>;
  #isOpen = true;
  #lost: Error | undefined;

  /** @param client an ssh2 client that is ready; `name` is what the user calls the device */
  constructor(client: Client, name: string, hostKey?: string) {
    this.hostKey = hostKey;
    this.#client = client;
    this.#name = name;
    // Without a listener a lost connection would end the process; what it interrupts is told by the `exited` of each program.
    client.on('error', (error: Error) => {
      this.#lost = error;
    });
    client.once('end', () => {
      this.#isOpen = false;
    });
    this.closed = new Promise((resolve) => {
      client.once('close', () => {
        this.#isOpen = false;
        resolve();
      });
    });
  }

  /** False once it has been closed or the link was lost. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Starts a command line in the remote user's shell, on a terminal if one is given. */
  execute(commandLine: string, terminal?: RemoteTerminal): Promise<RemoteProcess> {
    return this.#open(`running a command on ${this.#name}`, (done) => {
      this.#client.exec(
        commandLine,
        terminal === undefined ? {} : { pty: pseudoTerminal(terminal) },
        this.#started(done),
      );
    });
  }

  /** Starts the remote user's login shell, on a terminal if one is given. */
  shell(terminal?: RemoteTerminal): Promise<RemoteProcess> {
    return this.#open(`opening a shell on ${this.#name}`, (done) => {
      this.#client.shell(terminal === undefined ? false : pseudoTerminal(terminal), this.#started(done));
    });
  }

  /** Runs a command line to its end with nothing on its standard input; a non-zero exit code is a result, not a failure. */
  async run(commandLine: string): Promise<RemoteExit & { readonly stdout: string; readonly stderr: string }> {
    const program = await this.execute(commandLine);
    program.stdin.end();
    const [stdout, stderr, exit] = await Promise.all([text(program.stdout), text(program.stderr), program.exited]);
    return { ...exit, stdout, stderr };
  }

  /**
   * Sends a signal to everything that runs over this connection. OpenSSH refuses the protocol's own signals for root, so a
   * second command finds the first ones: each leads a process group and has the same parent, the server of this connection.
   */
  async signalPrograms(signal: 'INT' | 'TERM'): Promise<void> {
    const script =
      'for stat in /proc/[0-9]*/stat; do read -r pid name state parent rest < "$stat" || continue; ' +
      `[ "$parent" = "$PPID" ] && [ "$pid" != "$$" ] && kill -${signal} "-$pid"; done 2>/dev/null`;
    // The login shell may be of another kind; replaced, it leaves its parent to the script.
    await this.run(remoteCommandLine(['exec', 'sh', '-c', script]));
  }

  /** Starts a command line and gives its standard input and output as one byte stream; what it says besides is not read. */
  executeAsStream(commandLine: string): Promise<Duplex> {
    return this.#open<Duplex>(`running a command on ${this.#name}`, (done) => {
      this.#client.exec(commandLine, (error, channel) => {
        if (error === undefined) channel.stderr.resume();
        done(error, channel);
      });
    });
  }

  /** Opens a byte stream to a Unix socket on the device. */
  openUnixSocket(socketPath: string): Promise<Duplex> {
    return this.#open<Duplex>(`connecting to ${socketPath} on ${this.#name}`, (done) => {
      this.#client.openssh_forwardOutStreamLocal(socketPath, done);
    });
  }

  /** Opens a byte stream to a TCP port as the device sees it. */
  openTcp(host: string, port: number): Promise<Duplex> {
    return this.#open<Duplex>(`connecting to ${host}:${port} on ${this.#name}`, (done) => {
      this.#client.forwardOut('127.0.0.1', 0, host, port, done);
    });
  }

  /** Opens a channel for files. */
  openFiles(): Promise<SftpFiles> {
    return this.#open<SFTPWrapper>(`opening the files of ${this.#name}`, (done) => {
      this.#client.sftp(done);
    }).then((sftp) => new SftpFiles(sftp, this.#name, this.closed));
  }

  /** Ends the connection and everything that runs over it. */
  async close(): Promise<void> {
    this.#client.end();
    // A device that has gone away would keep the half-closed connection open for minutes.
    const timer = setTimeout(() => this.#client.destroy(), 500);
    await this.closed;
    clearTimeout(timer);
  }

  #open<T>(doing: string, start: (done: Opened<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const fail = (cause: unknown) => {
        const reason = cause instanceof Error ? cause.message : 'unknown reason';
        reject(new Failure('unreachable', 'ssh-channel-refused', `${doing}: ${reason}`, { cause }));
      };
      try {
        start((error, channel) => {
          if (channel === undefined) fail(this.#lost ?? error);
          else resolve(channel);
        });
      } catch (error) {
        // ssh2 throws at once when the connection is gone already.
        fail(this.#lost ?? error);
      }
    });
  }

  /**
   * What ssh2 calls when a program has been started. It must listen to the channel at once: a program that ends quickly has its
   * exit code in the same packet, which is gone before a promise is settled.
   */
  #started(done: Opened<RemoteProcess>): Opened<ClientChannel> {
    return (error, channel) => {
      if (error) done(error);
      else if (channel !== undefined) done(undefined, this.#process(channel));
    };
  }

  #process(channel: ClientChannel): RemoteProcess {
    const exited = new Promise<RemoteExit>((resolve, reject) => {
      let exit: RemoteExit | undefined;
      channel.once('exit', (code: number | null, signal?: string) => {
        exit = code === null ? { exitCode: signalExitCode(signal), ...(signal && { signal }) } : { exitCode: code };
      });
      channel.once('close', () => {
        if (exit !== undefined) resolve(exit);
        else reject(this.#connectionLost());
      });
    });
    // Whoever starts a program may close it without waiting for its end.
    exited.catch(() => undefined);
    return {
      stdin: channel,
      stdout: channel,
      stderr: channel.stderr,
      exited,
      resize: (columns, rows) => {
        channel.setWindow(rows, columns, 0, 0);
      },
      interrupt: () => this.signalPrograms('INT'),
      close: () => {
        channel.close();
      },
    };
  }

  #connectionLost(): Failure {
    return new Failure('unreachable', 'connection-lost', `the connection to ${this.#name} was lost`, {
      hint: 'Check that the device is still on and in the network',
      cause: this.#lost,
    });
  }
}

/** What ssh2 calls with the channel that was opened, or with why it was not. */
type Opened<T> = (error: Error | undefined, channel?: T) => void;

/** 128 + the number of a signal, as shells report a killed program; 255 for a signal this system does not know. */
function signalExitCode(signal: string | undefined): number {
  const number = Object.entries(constants.signals).find(([name]) => name === signal)?.[1];
  return number === undefined ? 255 : 128 + number;
}

/** Modes as in RFC 4254 8: the remote line discipline's own defaults, and UTF-8 input so that erasing works on whole characters. */
function pseudoTerminal(terminal: RemoteTerminal): PseudoTtyOptions {
  return { term: terminal.type, cols: terminal.columns, rows: terminal.rows };
}
