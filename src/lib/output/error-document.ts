import { exitCodeOf, Failure } from '../failure/failure.js';

/** What `--json` prints instead of a result when a command fails. */
export interface ErrorDocument {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint?: string;
    readonly exitCode: number;
  };
}

/** The error document of whatever was thrown. */
export function errorDocument(error: unknown): ErrorDocument {
  const exitCode = exitCodeOf(error);
  if (!(error instanceof Failure))
    return { error: { code: 'bug', message: bugMessage(error), hint: bugHint, exitCode } };
  const { code, message, hint } = error;
  return { error: { code, message, ...(hint === undefined ? {} : { hint }), exitCode } };
}

/** The lines a person reads on standard error when a command fails. */
export function errorLines(error: unknown): string[] {
  const { message, hint } = errorDocument(error).error;
  const stack = error instanceof Failure || !(error instanceof Error) ? [] : [error.stack ?? error.message];
  return [`error: ${message}`, ...stack, ...(hint === undefined ? [] : [hint])];
}

const bugHint = 'This is a bug in davit. Report it with the command you ran and the lines above.';

function bugMessage(error: unknown): string {
  return `unexpected ${error instanceof Error ? `${error.name}: ${error.message}` : 'error'}`;
}
