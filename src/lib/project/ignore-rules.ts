import dockerIgnore from '@balena/dockerignore';
import { Failure } from '../failure/failure.js';

/** Which paths of a project stay out of the build context. Paths are relative, with forward slashes. */
export interface IgnoreRules {
  readonly ignores: (path: string) => boolean;
  /** Whether something inside an ignored folder may still be wanted, because of a `!` line; otherwise it need not be read. */
  readonly mayIncludeInside: (folder: string) => boolean;
}

/** Rules that come before those of the project. Docker sends `.git`; balena-cli does not, and no image wants it. */
const implicitRules = ['**/.git'];

/**
 * Reads the text of a `.dockerignore`: the last line that matches a path decides, as Docker documents it.
 *
 * @param file the name of the file, for the failure when a line is not a valid pattern
 */
export function parseIgnoreRules(text: string, file: string): IgnoreRules {
  const matcher = dockerIgnore.default({ ignorecase: false });
  matcher.add(implicitRules);
  const exceptions: string[][] = [];
  for (const [index, line] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    if (line.startsWith('#') || line.trim() === '') continue;
    const pattern = escaped(line);
    try {
      dockerIgnore.default({ ignorecase: false }).add(pattern).ignores('any');
    } catch (error) {
      const message = `line ${index + 1} of ${file} is not a valid pattern: ${line.trim()}`;
      throw new Failure('usage', 'invalid-dockerignore', message, { cause: error });
    }
    matcher.add(pattern);
    const exception = /^\s*!\s*\/?(.+?)\/?\s*$/.exec(line)?.[1];
    if (exception !== undefined) exceptions.push(exception.split('/').filter((part) => part !== '' && part !== '.'));
  }
  return {
    ignores: (path) => matcher.ignores(path),
    mayIncludeInside: (folder) => exceptions.some((exception) => reachesInside(exception, folder.split('/'))),
  };
}

/** The matcher turns patterns into regular expressions but leaves these characters, which mean nothing to Docker, as they are. */
function escaped(pattern: string): string {
  return process.platform === 'win32' ? pattern : pattern.replace(/(?<!\\)[+(){}|]/g, '\\$&');
}

function reachesInside(exception: readonly string[], folder: readonly string[]): boolean {
  for (const [index, part] of folder.entries()) {
    const wanted = exception[index];
    // An exception that ends here or above holds for the folder as a whole, and the folder is ignored all the same.
    if (wanted === undefined) return false;
    if (wanted === '**') return true;
    if (!/[*?[\\]/.test(wanted) && wanted !== part) return false;
  }
  return exception.length > folder.length;
}
