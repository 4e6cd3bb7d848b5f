import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { interrupted } from '../failure/failure.js';
import { openChildOutput } from '../platform/child-output.js';
import { childEnvironment } from '../platform/environment.js';
import { archiveCorrupt } from './archive-corrupt.js';
import type { DecodeOptions } from './decode-options.js';

/** How a program is judged. */
export interface ProgramOptions extends DecodeOptions {
  /** Whether whatever it says is about damage, even when it ends with exit code 0. */
  readonly warningsAreDamage?: boolean;
}

/**
 * Passes bytes through a program that decodes its standard input; a bad exit code is `archive-corrupt`. A chunk is good only until the next
 * one is asked for.
 */
export async function* decodeWithProgram(
  input: AsyncIterable<Buffer>,
  [program, ...programArguments]: readonly [string, ...string[]],
  { name, signal, warningsAreDamage = false }: ProgramOptions,
): AsyncGenerator<Buffer> {
  const { child, output } = await start(program, programArguments);
  const closed = once(child, 'close');
  const onAbort = () => child.kill('SIGKILL');
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-1000);
  });
  const inputErrors: unknown[] = [];
  const watched = async function* () {
    try {
      // What is on its way to the program is still read when the next chunk is asked for.
      for await (const chunk of input) yield Buffer.from(chunk);
    } catch (error) {
      inputErrors.push(error);
      throw error;
    }
  };
  const feeding = pipeline(watched(), child.stdin).catch(() => {
    // A program that stops reading is judged by its exit code; an input that cannot be read is not the program's fault.
    if (inputErrors.length > 0) child.kill('SIGKILL');
  });
  try {
    yield* output;
    await closed;
    await feeding;
    if (signal.aborted) throw interrupted();
    for (const error of inputErrors) throw error;
    if (child.exitCode !== 0 || (warningsAreDamage && complaint !== '')) {
      const lastLine = complaint.trim().split('\n').at(-1) ?? '';
      throw archiveCorrupt(name, lastLine === '' ? `${program} could not decode it` : lastLine);
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    child.kill('SIGKILL');
    await closed;
  }
}

async function start(program: string, programArguments: readonly string[]) {
  const options = { env: childEnvironment({ LC_ALL: 'C' }) };
  const output = await openChildOutput();
  if (output === undefined) {
    const child = spawn(program, programArguments, { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
    const chunks: AsyncIterable<Buffer> = child.stdout;
    return { child, output: chunks };
  }
  const child = spawn(program, programArguments, { ...options, stdio: ['pipe', output.childEnd, 'pipe'] });
  output.childEnd.destroy();
  return { child, output: output.chunks };
}
