import { exitCodeOf, Failure, type FailureProblem } from '../failure/failure.js';
import { printableLines } from './format.js';
import { paintFor } from './paint.js';
import type { Streams } from './streams.js';

/** What `--json` prints instead of a result when a command fails. */
export interface ErrorDocument {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint?: string;
    /** Where the mistakes are that a file of the user's has. */
    readonly problems?: readonly FailureProblem[];
    readonly exitCode: number;
    /** What else is known, such as what became of each drive. */
    readonly report?: object;
  };
}

/** The error document of whatever was thrown. */
function errorDocument(error: unknown): ErrorDocument {
  const exitCode = exitCodeOf(error);
  if (!(error instanceof Failure))
    return { error: { code: 'bug', message: bugMessage(error), hint: bugHint, exitCode } };
  const { code, message, hint, problems, report } = error;
  const details = { ...(hint === undefined ? {} : { hint }), ...(problems.length === 0 ? {} : { problems }) };
  return { error: { code, message, ...details, exitCode, ...(report === undefined ? {} : { report }) } };
}

/** Tells how a command failed: the document on standard output under `--json`, otherwise lines on standard error. */
export function reportError(error: unknown, streams: Streams, options: { readonly json: boolean }): void {
  const document = errorDocument(error);
  if (options.json) {
    streams.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    return;
  }
  const { message, hint } = document.error;
  const stack = error instanceof Failure || !(error instanceof Error) ? [] : [error.stack ?? error.message];
  const lines = [
    `${paintFor(streams.stderrHasColor).error('error:')} ${printableLines(message)}`,
    ...stack,
    ...(hint === undefined ? [] : [printableLines(hint)]),
  ];
  streams.stderr.write(`${lines.join('\n')}\n`);
}

const bugHint = 'This is a bug in davit. Report it with the command you ran and the lines above.';

function bugMessage(error: unknown): string {
  return `unexpected ${error instanceof Error ? `${error.name}: ${error.message}` : 'error'}`;
}
