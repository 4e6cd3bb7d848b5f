import { shellWord } from '../platform/shell-word.js';

/**
 * The one line that a remote shell runs. A single word is taken as a shell line as it is (`'dmesg | tail'`), as in Perl's and
 * Ruby's `system`; several words are a program and its arguments, each quoted so that it arrives unchanged.
 */
export function remoteCommandLine(words: readonly string[]): string {
  const [first = '', ...rest] = words;
  return rest.length === 0 ? first : words.map(shellWord).join(' ');
}
