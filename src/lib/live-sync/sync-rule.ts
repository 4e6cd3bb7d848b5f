import path from 'node:path';
import type { TreeEntry } from './tree.js';

/** Where files of a project go in a container, and what follows when one of them changes. A file may fall under several rules. */
export interface SyncRule {
  /** Where it is written, for messages: `line 7`. */
  readonly origin: string;
  /** Paths or patterns relative to the project, with forward slashes; empty for all of it. */
  readonly sources: readonly string[];
  /** Why a change cannot be carried into the container; undefined where it can. */
  readonly needsBuild: string | undefined;
  /** Whether it does not hold for a path after all. */
  readonly excludes?: (path: string) => boolean;
  /** Absolute path in the container; undefined where nothing is carried there, and a change only has something follow. */
  readonly target: string | undefined;
  /** Whether the target is a folder whatever is there: it ends with a slash, or there are several sources. */
  readonly isFolder: boolean;
  /** `user` or `user:group`, by name or number; root without it. */
  readonly owner: string | undefined;
  /** Permission bits for files and folders alike; those they have here without it. */
  readonly mode: number | undefined;
  /** Whether text files get the line ends of Unix. */
  readonly convertsLineEnds?: boolean;
  /** What has to run in the container after a change, in order. */
  readonly runs: readonly Run[];
  /** Whether the container is restarted after a change, as its own program would not see it. */
  readonly restarts: boolean;
}

/** Something to run in a container after a change. */
export interface Run {
  /** Where it is written, for messages: `line 9`. */
  readonly origin: string;
  /** A program and its arguments. */
  readonly command: readonly string[];
  /** Whoever the container's own program runs as without it. */
  readonly user: string | undefined;
  /** The container's own without it. */
  readonly workingFolder: string | undefined;
  readonly environment: Readonly<Record<string, string>>;
}

/** What a file of the project becomes in a container. */
export interface SyncTarget {
  /** Absolute path in the container, if that is not a folder there; undefined where it is not carried there. */
  readonly path: string | undefined;
  /** The path if it is; undefined where it makes no difference. */
  readonly pathInFolder: string | undefined;
}

/**
 * Where a rule puts a file, folder or link: what lies in a folder that is copied goes into the target, a file that is itself copied becomes the
 * target, or goes into it if that is a folder. Undefined where the rule is not about it.
 *
 * @param file relative to the project, with forward slashes
 */
export function syncTarget(
  { sources, excludes, target, isFolder }: SyncRule,
  file: string,
  kind: TreeEntry['kind'],
): SyncTarget | undefined {
  if (kind !== 'folder' && excludes?.(file) === true) return undefined;
  for (const source of sources) {
    const rest = restOf(source, file);
    if (rest === undefined) continue;
    if (target === undefined) return { path: undefined, pathInFolder: undefined };
    if (rest !== '' || kind === 'folder') return { path: path.posix.join(target, rest), pathInFolder: undefined };
    const inside = path.posix.join(target, path.posix.basename(file));
    return isFolder ? { path: inside, pathInFolder: undefined } : { path: target, pathInFolder: inside };
  }
  return undefined;
}

/** What is left of a path behind a source that it is, or is in; undefined when it is neither. */
function restOf(source: string, file: string): string | undefined {
  if (source === '') return file;
  const [wanted, parts] = [source.split('/'), file.split('/')];
  if (parts.length < wanted.length) return undefined;
  const isInside = wanted.every((part, at) => partMatches(part, parts[at] ?? ''));
  return isInside ? parts.slice(wanted.length).join('/') : undefined;
}

/** A part of a path against one of a pattern, as Go's `filepath.Match` has it. */
function partMatches(pattern: string, part: string): boolean {
  if (!/[*?[\\]/.test(pattern)) return pattern === part;
  const source = pattern.replace(/\\(.)|\[\^?[^\]]+\]|[*?]|[.+^${}()|]/g, (token, escaped?: string) => {
    if (escaped !== undefined) return escaped.replace(/[.*+?^${}()|[\]\\]/, '\\$&');
    if (token === '*') return '[^/]*';
    if (token === '?') return '[^/]';
    return token.startsWith('[') ? token : `\\${token}`;
  });
  try {
    return new RegExp(`^${source}$`, 's').test(part);
  } catch {
    return false;
  }
}
