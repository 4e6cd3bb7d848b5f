import { Errors } from '@oclif/core';
import { Failure } from '../failure/failure.js';

/** What oclif puts around what it has to say. */
const emptyPhrases = /^(The following errors? occurred:|See more help with --help)$/;

/** Turns what oclif throws for a mistyped command line into a usage failure; everything else stays as it is. */
export function asUsageFailure(error: unknown): unknown {
  if (!(error instanceof Errors.CLIError)) return error;
  const lines = error.message.split('\n').map((line) => line.trim());
  const said = lines.filter((line) => line !== '' && !emptyPhrases.test(line));
  return new Failure('usage', 'usage', said.join('\n'), {
    hint: 'Add --help to the command to see what it takes',
    cause: error,
  });
}
