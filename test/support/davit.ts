import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's root folder. */
export const projectRoot = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Where davit keeps its state in tests, also when they call it directly, instead of where it is kept on this computer. */
const stateFolder = path.join(tmpdir(), `davit-test-state-${process.pid}`);
process.env.DAVIT_STATE_DIR = stateFolder;
process.env.DAVIT_DATA_DIR ??= path.join(stateFolder, 'data');
process.on('exit', () => {
  rmSync(stateFolder, { recursive: true, force: true });
});

/** A signal and the output that triggers it. */
export interface SignalWhen {
  readonly signal: NodeJS.Signals;
  readonly when: (output: string) => boolean;
}

/** How a davit process is started. */
export interface DavitOptions {
  readonly cwd?: string;
  /** Laid over the environment of the test; `undefined` removes a variable. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly input?: string | Uint8Array;
  /** Words put before davit, such as `ip netns exec host`. */
  readonly wrapper?: readonly string[];
  /** A signal to send once its condition has been seen in the output so far, and one to send after that. */
  readonly kill?: SignalWhen;
  readonly killAgain?: SignalWhen;
  /** Killed and reported as exit code null after this many milliseconds; one minute by default. */
  readonly timeoutMs?: number;
}

/** What a davit process left behind; `exitCode` is null when a signal ended it. */
export interface DavitResult {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Words that run a program as a user who may read everything, the project's folder among it, and write nothing; need root. */
export const asNobody: readonly string[] = [
  'setpriv',
  '--reuid=65534',
  '--regid=65534',
  '--clear-groups',
  '--inh-caps=+dac_read_search',
  '--ambient-caps=+dac_read_search',
];

/** The command line that runs the built CLI. */
export const davitProgram: readonly string[] = [process.execPath, path.join(projectRoot, 'bin', 'run.js')];

/** Starts the built CLI as a real process and gives the process itself, for tests that watch it live. */
export function startDavit(commandLine: readonly string[], options: DavitOptions = {}): ChildProcess {
  return startProgram([...davitProgram, ...commandLine], options);
}

/** Runs the built CLI to its end. */
export function davit(commandLine: readonly string[], options: DavitOptions = {}): Promise<DavitResult> {
  return runProgram([...davitProgram, ...commandLine], options);
}

function startProgram(words: readonly string[], options: DavitOptions): ChildProcess {
  const environment: NodeJS.ProcessEnv = { ...process.env, NO_COLOR: '1' };
  // The test runner's own variables must not reach the process under test.
  delete environment.NODE_TEST_CONTEXT;
  delete environment.NODE_OPTIONS;
  for (const [name, value] of Object.entries(options.environment ?? {})) {
    if (value === undefined) Reflect.deleteProperty(environment, name);
    else environment[name] = value;
  }
  const [command = '', ...rest] = [...(options.wrapper ?? []), ...words];
  return spawn(command, rest, {
    env: environment,
    stdio: 'pipe',
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
}

/** Runs any program as davit itself is run. */
export function runProgram(words: readonly string[], options: DavitOptions = {}): Promise<DavitResult> {
  const child = startProgram(words, options);
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    const signals = [options.kill, options.killAgain].flatMap((one) => one ?? []);
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 60_000);
    const look = () => {
      const next = signals[0];
      if (!next?.when(stdout + stderr)) return;
      signals.shift();
      child.kill(next.signal);
    };
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      look();
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      look();
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input ?? '');
    child.on('error', reject);
    child.on('close', (exitCode, signal) => {
      clearTimeout(timer);
      resolve({ exitCode, signal, stdout, stderr });
    });
  });
}

/** Runs the CLI with `--json` and gives its exit code and the one document it printed. */
export async function davitJson(
  commandLine: readonly string[],
  options: DavitOptions = {},
): Promise<{ readonly exitCode: number | null; readonly document: unknown; readonly stderr: string }> {
  const { exitCode, stdout, stderr } = await davit([...commandLine, '--json'], options);
  return { exitCode, document: JSON.parse(stdout), stderr };
}

/** A davit process that is looked at while it runs. */
export interface WatchedDavit {
  readonly child: ChildProcess;
  /** What it has printed so far, on both streams. */
  readonly output: () => string;
  readonly result: Promise<DavitResult>;
}

/** Starts the built CLI and collects what it prints; its standard input stays open. */
export function watchDavit(commandLine: readonly string[], options: DavitOptions = {}): WatchedDavit {
  const child = startDavit(commandLine, options);
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const result = new Promise<DavitResult>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode, signal) => {
      resolve({ exitCode, signal, stdout, stderr });
    });
  });
  return { child, output: () => stdout + stderr, result };
}
