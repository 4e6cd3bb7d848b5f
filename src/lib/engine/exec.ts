import { randomBytes } from 'node:crypto';
import http from 'node:http';
import { type Duplex, PassThrough } from 'node:stream';
import { Failure, interrupted } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import type { RemoteProcess, RemoteTerminal } from '../platform/remote-program.js';
import { waitAtMost } from '../platform/wait.js';
import { numberAt, textAt, valueAt } from './engine-answer.js';
import type { EngineConnection } from './engine-connection.js';
import { engineJson } from './engine-request.js';
import { type SplitOutput, splitOutput } from './split-output.js';

/** What to run in a container that runs already. */
export interface ExecRequest {
  readonly container: string;
  /** A program and its arguments. */
  readonly command: readonly string[];
  /** Who runs it, by name or number; whoever the container's own program runs as without it. */
  readonly user?: string | undefined;
  /** The container's own without it. */
  readonly workingFolder?: string | undefined;
  /** Variables besides those of the container. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Size of the terminal that it gets; without one its two outputs stay apart. */
  readonly terminal?: RemoteTerminal | undefined;
  readonly signal: AbortSignal;
}

/** The variable by which a program can be found again in its container: engines tell only its number on the host. */
const markVariable = 'DAVIT_SESSION';

/** Runs a program in a container, with `exec` of the engine's API. */
export async function execInContainer(engine: EngineConnection, request: ExecRequest): Promise<RemoteProcess> {
  const { container, command, environment = {}, terminal, signal } = request;
  const mark = randomBytes(8).toString('hex');
  const id = await createExec(engine, request, [
    ...Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    `${markVariable}=${mark}`,
    ...(terminal ? [`TERM=${terminal.type}`] : []),
  ]);
  const stream = await startExec(engine, id, terminal !== undefined, signal);
  const resize = (columns: number, rows: number) => {
    const query = { w: columns, h: rows };
    // The program may have ended meanwhile.
    engineJson(engine, { method: 'POST', path: `/exec/${id}/resize`, query, signal }).catch(() => undefined);
  };
  if (terminal !== undefined) resize(terminal.columns, terminal.rows);
  const { stdout, stderr, ended } = terminal === undefined ? splitOutput(stream) : wholeOutput(stream);
  const exited = ended.then(() => exitOf(engine, id, signal));
  // Whoever starts a program may close it without waiting for its end.
  exited.catch(() => undefined);
  return {
    stdin: stream,
    stdout,
    stderr,
    exited,
    resize,
    interrupt: () => interruptMarked(engine, container, mark, command),
    close: () => stream.destroy(),
  };
}

async function createExec(
  engine: EngineConnection,
  { container, command, user, workingFolder, terminal, signal }: ExecRequest,
  environment: readonly string[],
): Promise<string> {
  const json = {
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    Tty: terminal !== undefined,
    Env: environment,
    Cmd: command,
    ...(user === undefined ? {} : { User: user }),
    ...(workingFolder === undefined ? {} : { WorkingDir: workingFolder }),
  };
  const path = `/containers/${container}/exec`;
  return textAt(await engineJson(engine, { method: 'POST', path, body: { json }, signal }), 'Id');
}

/** Starts it and takes the connection over (`Upgrade: tcp`), which carries its streams from then on. */
async function startExec(
  engine: EngineConnection,
  id: string,
  hasTerminal: boolean,
  signal: AbortSignal,
): Promise<Duplex> {
  const stream = await engine.connect();
  const doing = `talking to the engine at ${engine.description}`;
  return new Promise((resolve, reject) => {
    const request = http.request({
      method: 'POST',
      path: `/exec/${id}/start`,
      headers: { 'content-type': 'application/json', connection: 'Upgrade', upgrade: 'tcp' },
      createConnection: () => stream,
    });
    const onAbort = () => {
      request.destroy();
      reject(interrupted());
    };
    signal.addEventListener('abort', onAbort, { once: true });
    const settle = () => {
      signal.removeEventListener('abort', onAbort);
    };
    request.on('upgrade', (_response, upgraded: Duplex, head) => {
      settle();
      if (head.length > 0) upgraded.unshift(head);
      resolve(upgraded);
    });
    request.on('response', (response) => {
      settle();
      response.resume();
      const message = `the engine does not start a program in the container (status ${response.statusCode ?? 0})`;
      reject(new Failure('failed', 'engine-error', message));
    });
    request.on('error', (error) => {
      settle();
      const explained = whileDoing(doing, error);
      reject(explained instanceof Error ? explained : error);
    });
    if (signal.aborted) onAbort();
    else request.end(JSON.stringify({ Detach: false, Tty: hasTerminal }));
  });
}

/** A terminal has one output. */
function wholeOutput(stream: Duplex): SplitOutput {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  stderr.end();
  const ended = new Promise<void>((resolve) => {
    for (const event of ['end', 'close', 'error'])
      stream.once(event, () => {
        resolve();
      });
  });
  stream.pipe(stdout);
  void ended.then(() => stdout.end());
  return { stdout, stderr, ended };
}

/** A busy engine closes the streams of a program before it has heard that the program ended. */
const exitNewsMs = 3000;

/** The end of the streams says nothing about why they ended: the engine is asked. */
async function exitOf(
  engine: EngineConnection,
  id: string,
  signal: AbortSignal,
): Promise<{ readonly exitCode: number }> {
  const lost = (cause?: unknown) =>
    new Failure('unreachable', 'connection-lost', `the connection to ${engine.description} was lost`, {
      hint: 'Check that the device is still on and in the network',
      cause,
    });
  const deadline = performance.now() + exitNewsMs;
  for (;;) {
    let answer: unknown;
    try {
      answer = await engineJson(engine, { method: 'GET', path: `/exec/${id}/json`, signal, timeoutMs: 5000 });
    } catch (error) {
      signal.throwIfAborted();
      throw lost(error);
    }
    const exitCode = numberAt(answer, 'ExitCode');
    if (valueAt(answer, 'Running') !== true && exitCode !== undefined) return { exitCode };
    if (performance.now() >= deadline) throw lost();
    await waitAtMost(50, signal);
    signal.throwIfAborted();
  }
}

/** Finds the program by its mark and interrupts it, with what a small image has: a shell, tr and grep. */
async function interruptMarked(
  engine: EngineConnection,
  container: string,
  mark: string,
  command: readonly string[],
): Promise<void> {
  const script =
    `for file in /proc/[0-9]*/environ; do tr '\\0' '\\n' < "$file" | grep -qx ${markVariable}=${mark} || continue; ` +
    'file=${file#/proc/}; kill -INT "${file%/environ}"; done 2>/dev/null';
  // What was interrupted is no longer waited for, so this has no signal of its own.
  const signal = new AbortController().signal;
  try {
    const request = { container, command: ['sh', '-c', script], signal };
    const id = await createExec(engine, request, []);
    (await startExec(engine, id, false, signal)).resume();
  } catch (error) {
    throw whileDoing(`interrupting ${command.join(' ')}`, error);
  }
}
