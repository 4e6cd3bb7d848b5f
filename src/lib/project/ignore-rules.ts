import path from 'node:path';
import { Failure } from '../failure/failure.js';

/** Which paths of a project stay out of the build context. Paths are relative, with forward slashes. */
export interface IgnoreRules {
  readonly ignores: (path: string) => boolean;
  /** Whether something inside an ignored folder may still be wanted, because of a `!` line; otherwise it need not be read. */
  readonly mayIncludeInside: (folder: string) => boolean;
}

/** One line of an ignore file. */
interface Rule {
  readonly isException: boolean;
  /** The parts between the slashes. */
  readonly parts: readonly string[];
  readonly expression: RegExp;
}

/** What comes before the lines of the project. Docker sends `.git`; balena-cli does not, and no image wants it. */
const implicitRules = ['**/.git'];

/**
 * Reads the text of a `.dockerignore` (https://docs.docker.com/build/concepts/context/#dockerignore-files): the last line that matches a
 * path, or a folder that it is in, decides.
 *
 * @param file the name of the file, for the failure when a line is not a valid pattern
 */
export function parseIgnoreRules(text: string, file: string): IgnoreRules {
  const rules = [...implicitRules, ...text.replace(/^\uFEFF/, '').split('\n')].flatMap((line, index) => {
    const found = readRule(line);
    if (found !== 'invalid') return found ?? [];
    const place = `line ${index + 1 - implicitRules.length} of ${file}`;
    throw new Failure('usage', 'invalid-dockerignore', `${place} is not a valid pattern: ${line.trim()}`, {
      hint: 'A bracket needs its other half, and ! needs a pattern behind it',
    });
  });
  /** Which rules match each folder, itself or by one that it is in. */
  const folders = new Map<string, readonly boolean[]>();
  const matchesOf = (name: string): readonly boolean[] => {
    const slash = name.lastIndexOf('/');
    const parent = slash < 0 ? undefined : name.slice(0, slash);
    const above = parent === undefined ? [] : (folders.get(parent) ?? matchesOf(parent));
    if (parent !== undefined) folders.set(parent, above);
    let isIgnored = false;
    return rules.map(({ isException, expression }, index) => {
      // A rule that would change nothing is not asked, and then does not count for what is inside either.
      const matches = above[index] === true || (isException === isIgnored && expression.test(name));
      if (matches) isIgnored = !isException;
      return matches;
    });
  };
  const exceptions = rules.filter(({ isException }) => isException);
  return {
    ignores: (name) => {
      const last = rules[matchesOf(name).lastIndexOf(true)];
      return last !== undefined && !last.isException;
    },
    mayIncludeInside: (folder) => exceptions.some(({ parts }) => reachesInside(parts, folder.split('/'))),
  };
}

function readRule(line: string): Rule | 'invalid' | undefined {
  const text = line.trim();
  if (line.startsWith('#') || text === '') return undefined;
  const isException = text.startsWith('!');
  const written = isException ? text.slice(1).trim() : text;
  if (written === '' || !isPattern(written)) return 'invalid';
  const pattern = path.posix
    .normalize(written)
    .replace(/^\/(?=.)/, '')
    .replace(/(?<=.)\/$/, '');
  return { isException, parts: pattern.split('/'), expression: expressionOf(pattern) };
}

/** Whether brackets are closed and hold something, and no backslash stands at the end. */
function isPattern(pattern: string): boolean {
  return /^(?:\\.|\[\^?(?:(?:\\.|[^\\\]-])(?:-(?:\\.|[^\\\]-]))?)+\]|[^\\[])*$/su.test(pattern);
}

function expressionOf(pattern: string): RegExp {
  // Two asterisks in front of plain text stand for anything at all, with or without a slash.
  const ending = /^\*\*([^*?[\]\\]+)$/.exec(pattern)?.[1];
  if (ending !== undefined && !ending.startsWith('/')) return new RegExp(`${escaped(ending)}$`, 's');
  const source = pattern.replace(
    /\*\*\/?$|\*\*\/?|\*|\?|\\(.)|([.+(){}|$])/gsu,
    (token, literal?: string, special?: string, at?: number) => {
      if (token.startsWith('**')) return (at ?? 0) + token.length === pattern.length ? '.*' : '(.*/)?';
      if (token === '*') return '[^/]*';
      if (token === '?') return '[^/]';
      return escaped(literal ?? special ?? token);
    },
  );
  return new RegExp(`^${source}$`, 's');
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

function reachesInside(exception: readonly string[], folder: readonly string[]): boolean {
  for (const [index, part] of folder.entries()) {
    const wanted = exception[index];
    // An exception that ends here or above holds for the folder as a whole, and the folder is ignored all the same.
    if (wanted === undefined) return false;
    if (wanted.includes('**')) return true;
    if (!/[*?[\\]/.test(wanted) && wanted !== part) return false;
  }
  return exception.length > folder.length;
}
