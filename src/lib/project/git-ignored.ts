import { Failure } from '../failure/failure.js';
import { run } from '../platform/child-process.js';
import type { IgnoreRules } from './ignore-rules.js';

/** What git ignores in a folder, by all of its rules, as git itself tells it: paths relative to the folder, those of folders as a whole. */
export async function gitIgnored(folder: string, signal?: AbortSignal): Promise<ReadonlySet<string>> {
  const words = ['-C', folder, 'ls-files', '--others', '--ignored', '--exclude-standard', '--directory', '-z', '.'];
  const { exitCode, stdout, stderr } = await run('git', words, signal === undefined ? {} : { signal });
  if (exitCode === 0) return new Set(stdout.split('\0').map((name) => name.replace(/\/$/, '')));
  const reason = stderr.trim().split('\n').at(-1) ?? '';
  throw new Failure('refused', 'gitignore-unusable', `git does not tell what it ignores in ${folder}: ${reason}`, {
    hint: 'Push without --gitignore, and name what is not to be sent in .dockerignore',
  });
}

/** Rules that also leave out what is in a set of paths. */
export function alsoIgnoring(rules: IgnoreRules, paths: ReadonlySet<string>): IgnoreRules {
  const isIn = (name: string): boolean => {
    const slash = name.lastIndexOf('/');
    return paths.has(name) || (slash > 0 && isIn(name.slice(0, slash)));
  };
  return {
    ignores: (name) => isIn(name) || rules.ignores(name),
    mayIncludeInside: (folder) => !isIn(folder) && rules.mayIncludeInside(folder),
  };
}
