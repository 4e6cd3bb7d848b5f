import { Errors } from '@oclif/core';
import { Failure } from '../failure/failure.js';

/** Turns what oclif throws for a mistyped command line into a usage failure; everything else stays as it is. */
export function asUsageFailure(error: unknown): unknown {
  if (!(error instanceof Errors.CLIError)) return error;
  const [first = '', ...rest] = error.message.split('\n').filter((line) => line.trim() !== '');
  const details = rest.filter((line) => line !== 'See more help with --help');
  return new Failure('usage', 'usage', [first, ...details].join('\n'), {
    hint: 'Add --help to the command to see what it takes',
    cause: error,
  });
}
