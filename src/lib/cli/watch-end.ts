import type { Hook } from '@oclif/core';
import { exitCodeOf } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { reportError } from '../output/error-document.js';
import { processStreams } from '../output/streams.js';

/** Node.js ends with this when nothing is left to wait for, but the command has not returned (https://nodejs.org/api/process.html#exit-codes). */
const unsettledExitCode = 13;

/** oclif's `init` hook: what ends a command without its knowing, a full disk behind its output or a promise that nobody keeps, is told like any failure. */
const watchEnd: Hook.Init = ({ argv }) => {
  const streams = processStreams({ noColor: argv.includes('--no-color') });
  let lost: unknown;
  // oclif listens too, and ends with a stack trace.
  streams.stdout.removeAllListeners('error').on('error', (error) => {
    // Whoever read it has left, as `head` does.
    if (systemErrorCode(error) === 'EPIPE' || lost !== undefined) return;
    lost = whileDoing('writing to standard output', error, {
      hint: 'What the command did is done; only what it tells is not complete',
    });
    reportError(lost, streams, { json: false });
  });
  // There is nowhere left to say that standard error cannot be written; the exit code still tells how the command ended.
  streams.stderr.on('error', () => undefined);
  process.on('exit', () => {
    if (process.exitCode === unsettledExitCode) {
      const error = new Error('davit waits for something that will never happen');
      reportError(error, streams, { json: false });
      process.exitCode = exitCodeOf(error);
    } else if (lost !== undefined && (process.exitCode ?? 0) === 0) process.exitCode = exitCodeOf(lost);
  });
  return Promise.resolve();
};

export default watchEnd;
