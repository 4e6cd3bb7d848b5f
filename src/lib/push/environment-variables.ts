import { Failure } from '../failure/failure.js';
import { environmentVariable } from '../platform/environment.js';

/**
 * Reads `NAME=value` words; the last of two with one name counts. A bare `NAME` takes its value from davit's own environment, so that a
 * secret need not stand on the command line. The value is never part of a failure.
 */
export function parseEnvironment(words: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(words.map(parseVariable));
}

function parseVariable(word: string): readonly [name: string, value: string] {
  const [, name = '', value] = /^([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
  if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) {
    throw new Failure('usage', 'invalid-environment-variable', `"${name}" is not a name for an environment variable`, {
      hint: 'Use letters, digits and underscores, and no digit first: --env LOG_LEVEL=debug',
    });
  }
  const found = value ?? environmentVariable(name);
  if (found === undefined) {
    throw new Failure('usage', 'invalid-environment-variable', `${name} has no value, here or in the environment`, {
      hint: `Give it one: --env ${name}=value, or set ${name} before davit starts`,
    });
  }
  return [name, found];
}
