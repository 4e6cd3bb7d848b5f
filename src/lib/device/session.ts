import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { interrupted } from '../failure/failure.js';
import { environmentVariable } from '../platform/environment.js';
import type { RemoteExit, RemoteProcess, RemoteTerminal } from '../platform/remote-program.js';

/** The user's end of a session. */
interface LocalEnd {
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

/** The terminal in front of the user, which a remote one is to look like. */
interface LocalTerminal {
  readonly windowSize: () => { readonly columns: number; readonly rows: number };
  readonly onResize: (listener: () => void) => () => void;
  /** Hands every key to the remote side, Ctrl-C included, or takes that back; undefined when input is not a terminal. */
  readonly setRawMode: ((isRaw: boolean) => unknown) | undefined;
}

/** What to run, and between which ends. */
export interface SessionOptions {
  /** Starts the program, on a terminal if one is given. */
  readonly start: (terminal: RemoteTerminal | undefined) => Promise<RemoteProcess>;
  readonly local: LocalEnd;
  /** Without it the program gets no terminal: bytes pass unchanged and its two outputs stay apart. */
  readonly terminal: LocalTerminal | undefined;
  readonly signal: AbortSignal;
}

/** How long an interrupted program gets to end before the connection is closed under it. */
const graceMs = 1000;

/** What a shell says of a program that wrote to a closed pipe: 128 + SIGPIPE. */
const brokenPipe: RemoteExit = { exitCode: 141, signal: 'SIGPIPE' };

/**
 * Runs one program on a device with the user's streams until it ends. On abort the program gets SIGINT, and the call fails
 * as interrupted.
 */
export async function runSession(options: SessionOptions): Promise<RemoteExit> {
  const { start, local, terminal, signal } = options;
  const remoteTerminal = terminal && { type: environmentVariable('TERM') ?? 'vt100', ...terminal.windowSize() };
  const remote = await start(remoteTerminal);
  const stopResizing = terminal?.onResize(() => {
    const { columns, rows } = terminal.windowSize();
    remote.resize(columns, rows);
  });
  terminal?.setRawMode?.(true);
  const interruption = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    function onAbort() {
      reject(interrupted());
    }
  });
  try {
    return await Promise.race([joinStreams(local, remote), interruption]);
  } catch (error) {
    if (signal.aborted) await endProgram(remote);
    throw error;
  } finally {
    terminal?.setRawMode?.(false);
    stopResizing?.();
    local.stdin.unpipe();
    // A paused standard input does not keep the process alive.
    local.stdin.pause();
    remote.close();
  }
}

async function joinStreams(local: LocalEnd, remote: RemoteProcess): Promise<RemoteExit> {
  // A program that ends before it has read its input is judged by its exit code.
  remote.stdin.on('error', () => undefined);
  local.stdin.pipe(remote.stdin);
  const brokenOutput = new Promise<RemoteExit>((resolve, reject) => {
    for (const output of [local.stdout, local.stderr]) {
      output.once('error', (error: Error & { code?: string }) => {
        if (error.code === 'EPIPE') resolve(brokenPipe);
        else reject(error);
      });
    }
  });
  return Promise.race([
    Promise.all([remote.exited, flow(remote.stdout, local.stdout), flow(remote.stderr, local.stderr)]).then(
      ([exit]) => exit,
    ),
    brokenOutput,
  ]);
}

async function flow(from: Readable, to: NodeJS.WritableStream): Promise<void> {
  from.pipe(to, { end: false });
  await finished(from, { writable: false });
}

async function endProgram(remote: RemoteProcess): Promise<void> {
  const asked = remote.interrupt().catch(() => undefined);
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([
    Promise.all([asked, remote.exited.catch(() => undefined)]),
    new Promise((resolve) => (timer = setTimeout(resolve, graceMs))),
  ]);
  clearTimeout(timer);
}
