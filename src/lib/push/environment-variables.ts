import { Failure } from '../failure/failure.js';

/** Reads `NAME=value` words; the last of two with one name counts. The value is never part of a failure, because it may be secret. */
export function parseEnvironment(words: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    words.map((word) => {
      const [, name, value] = /^([^=]*)=(.*)$/s.exec(word) ?? [];
      if (name === undefined || value === undefined) {
        throw new Failure('usage', 'invalid-environment-variable', '--env needs a name and a value', {
          hint: 'For example --env LOG_LEVEL=debug',
        });
      }
      if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) {
        throw new Failure(
          'usage',
          'invalid-environment-variable',
          `"${name}" is not a name for an environment variable`,
          {
            hint: 'Use letters, digits and underscores, and no digit first',
          },
        );
      }
      return [name, value];
    }),
  );
}
