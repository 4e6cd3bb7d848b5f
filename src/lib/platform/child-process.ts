import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import path from 'node:path';
import { pipeline, Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { Failure, interrupted } from '../failure/failure.js';
import { childEnvironment, programFolders } from './environment.js';

/** What a finished child process left behind. */
export interface ProcessResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a child process is run. */
export interface RunOptions {
  readonly signal?: AbortSignal;
  readonly cwd?: string;
  /** Laid over the parent's environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Written to its standard input; without it, standard input is empty. */
  readonly input?: string | Uint8Array | Readable;
  /** Called with each line of standard output and standard error as it arrives, without its line end. */
  readonly onLine?: (line: string) => void;
}

/**
 * Runs a program to its end and returns its exit code and output; a non-zero exit code is a result, not a failure.
 * On abort the child gets SIGTERM and the call fails with `interrupted`.
 */
export async function run(
  command: string,
  commandArguments: readonly string[],
  options: RunOptions = {},
): Promise<ProcessResult> {
  if (options.signal?.aborted) throw interrupted();
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...commandArguments], {
      env: childEnvironment(options.environment),
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    const onAbort = () => child.kill('SIGTERM');
    options.signal?.addEventListener('abort', onAbort, { once: true });
    const stdout = new LineCollector(options.onLine);
    const stderr = new LineCollector(options.onLine);
    child.stdout.on('data', (chunk: Buffer) => {
      stdout.add(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr.add(chunk);
    });
    // A child that ends before it has read its input is judged by its exit code, not by our broken pipe.
    child.stdin.on('error', () => undefined);
    let inputError: Error | undefined;
    if (options.input instanceof Readable) {
      options.input.once('error', (error) => {
        inputError = error;
        child.kill('SIGTERM');
      });
      pipeline(options.input, child.stdin, () => undefined);
    } else child.stdin.end(options.input ?? '');
    child.on('error', (error) => {
      options.signal?.removeEventListener('abort', onAbort);
      reject(
        'code' in error && error.code === 'ENOENT'
          ? new Failure('not-found', 'program-not-found', `the program ${command} is not installed`, { cause: error })
          : error,
      );
    });
    child.on('close', (code) => {
      options.signal?.removeEventListener('abort', onAbort);
      if (options.signal?.aborted) reject(interrupted());
      else if (inputError !== undefined) reject(inputError);
      else resolve({ exitCode: code ?? 128, stdout: stdout.end(), stderr: stderr.end() });
    });
  });
}

/**
 * Runs a program that must succeed and returns its standard output.
 *
 * @param doing what this is for, as a gerund phrase, for the message of the failure
 */
export async function runChecked(
  doing: string,
  command: string,
  commandArguments: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const result = await run(command, commandArguments, options);
  if (result.exitCode !== 0) {
    const lastLines = (result.stderr || result.stdout).trim().split('\n').slice(-5).join('\n  ');
    throw new Failure(
      'failed',
      'program-failed',
      `${doing}: ${path.basename(command)} ended with exit code ${result.exitCode}${lastLines && `:\n  ${lastLines}`}`,
    );
  }
  return result.stdout;
}

/** Where a program is, or undefined. */
export async function findProgram(name: string): Promise<string | undefined> {
  for (const folder of programFolders()) {
    const candidate = path.join(folder, name);
    try {
      await access(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/** A program that davit needs, and the Debian package that has it. */
export interface NeededProgram {
  readonly program: string;
  readonly debianPackage: string;
}

/** Fails with one message that names every missing program and the one command that installs them all. */
export async function requirePrograms(purpose: string, needed: readonly NeededProgram[]): Promise<void> {
  const found = await Promise.all(
    needed.map(async (one) => ((await findProgram(one.program)) === undefined ? one : [])),
  );
  const missing = found.flat();
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((one) => one.debianPackage))].join(' ');
  throw new Failure(
    'not-found',
    'program-not-found',
    `${purpose} needs ${missing.map((one) => one.program).join(', ')}, which this computer does not have`,
    { hint: `On Debian or Ubuntu: sudo apt-get install ${packages}` },
  );
}

class LineCollector {
  readonly #chunks: Buffer[] = [];
  readonly #decoder = new StringDecoder('utf8');
  readonly #onLine: ((line: string) => void) | undefined;
  #partial = '';

  constructor(onLine: ((line: string) => void) | undefined) {
    this.#onLine = onLine;
  }

  add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    if (this.#onLine === undefined) return;
    const lines = (this.#partial + this.#decoder.write(chunk)).split('\n');
    this.#partial = lines.pop() ?? '';
    for (const line of lines) this.#onLine(line.replace(/\r$/, ''));
  }

  end(): string {
    if (this.#partial !== '') this.#onLine?.(this.#partial);
    return Buffer.concat(this.#chunks).toString('utf8');
  }
}
