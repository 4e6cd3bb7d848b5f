import { stat } from 'node:fs/promises';
import path from 'node:path';
import { whileDoing } from '../failure/while-doing.js';
import type { Hook, WatchRule } from '../project/composition.js';
import { type IgnoreRules, parseIgnoreRules } from '../project/ignore-rules.js';
import type { Run, SyncRule } from './sync-rule.js';
import type { TreeScope } from './tree.js';

/** A folder that is kept in step with a container, and by which rules. */
export interface WatchedFolder {
  readonly scope: TreeScope;
  readonly rules: readonly SyncRule[];
}

/**
 * The folders of a service's `develop.watch` (https://docs.docker.com/reference/compose-file/develop/), one for each entry: a change causes
 * nothing that its entry does not name.
 */
export async function watchedFolders(watch: readonly WatchRule[]): Promise<WatchedFolder[]> {
  return Promise.all(watch.map(watchedFolder));
}

async function watchedFolder({
  action,
  path: watched,
  target,
  ignore,
  include,
  exec,
}: WatchRule): Promise<WatchedFolder> {
  const isFolder = await isFolderAt(watched);
  const folder = isFolder ? watched : path.dirname(watched);
  const source = isFolder ? '' : path.basename(watched);
  const ignored = parseIgnoreRules((ignore ?? []).join('\n'), `develop.watch of ${watched}`);
  const included =
    include === undefined ? undefined : parseIgnoreRules(include.join('\n'), `develop.watch of ${watched}`);
  const origin = `develop.watch of ${path.basename(watched)}`;
  const carries = action === 'sync' || action === 'sync+restart' || action === 'sync+exec';
  const rule: SyncRule = {
    origin,
    sources: [source],
    ...(included === undefined ? {} : { excludes: (name: string) => !included.ignores(name) }),
    needsBuild: action === 'rebuild' ? 'its action is rebuild' : undefined,
    target: carries ? target : undefined,
    isFolder: false,
    owner: undefined,
    mode: undefined,
    runs: action === 'sync+exec' && exec !== undefined ? [runOf(exec, origin)] : [],
    restarts: action === 'restart' || action === 'sync+restart',
  };
  return { scope: scopeOf(folder, source, ignored), rules: [rule] };
}

async function isFolderAt(watched: string): Promise<boolean> {
  try {
    return (await stat(watched)).isDirectory();
  } catch (error) {
    throw whileDoing(`watching ${watched}`, error);
  }
}

/** What is watched beside a single file is not looked at. */
function scopeOf(folder: string, source: string, { ignores, mayIncludeInside }: IgnoreRules): TreeScope {
  if (source !== '') return { folder, ignores: (name) => name !== source, skips: () => true };
  return { folder, ignores, skips: (name) => ignores(name) && !mayIncludeInside(name) };
}

/** A command of the compose file; it runs as whoever the service runs as, unless it says otherwise. */
function runOf({ command, user, working_dir: workingFolder, environment = {} }: Hook, origin: string): Run {
  return { origin, command, user, workingFolder, environment };
}
