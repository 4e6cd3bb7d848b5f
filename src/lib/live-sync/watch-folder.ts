import { type FSWatcher, watch } from 'node:fs';
import { lstat, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { ignoreProgress, type ProgressListener } from '../platform/progress.js';
import { waitAtMost } from '../platform/wait.js';
import { pollFolder } from './poll-folder.js';

/** What of a folder is watched, and how. */
export interface WatchOptions {
  readonly folder: string;
  /** Whether nothing below a folder is of interest; it is then neither entered nor watched. Paths are relative, with forward slashes. */
  readonly skips: (folder: string) => boolean;
  readonly signal: AbortSignal;
  readonly progress?: ProgressListener;
}

/** A folder under watch. */
export interface FolderWatch {
  /**
   * Waits for changes and returns the paths that may have changed, relative to the folder: files, links, and folders whose whole content may
   * have; `''` is the folder itself. Empty when the signal was aborted. What happens between two calls is in the later one.
   */
  next(): Promise<ReadonlySet<string>>;
  /** Has a path told as changed, also when it is not. */
  tell(path: string): void;
  close(): void;
}

/** Saving a file is several changes in most editors; what comes as closely as this belongs together. */
const quietMs = 15;
/** Changes that never pause, such as those of a compiler, are told after this time all the same. */
const longestQuietMs = 150;

/**
 * Watches a folder with what the operating system has for it. Resolves when all is under watch, so that whatever is read afterwards cannot
 * change unnoticed. Where the system refuses more watches it looks at the whole folder again and again instead, and says so once.
 */
export async function watchFolder(options: WatchOptions): Promise<FolderWatch> {
  const { folder, progress = ignoreProgress } = options;
  const changes = new Changes(options.signal);
  const events = new FolderEvents(options, changes);
  let fallback: Promise<void> | undefined;
  const ended = new AbortController();
  const fallBack = (reason: string) => {
    if (fallback !== undefined || ended.signal.aborted) return;
    events.close();
    const text = `${folder} is looked through again and again for changes, as ${reason}`;
    progress({ type: 'notice', level: 'warning', text });
    fallback = pollFolder(options, ended.signal, (name) => {
      changes.add(name);
    });
    fallback.catch((error: unknown) => {
      changes.fail(error);
    });
  };
  events.onRefused = fallBack;
  try {
    await events.add('');
  } catch (error) {
    const reason = refusal(error);
    if (reason === undefined) {
      events.close();
      throw whileDoing(`watching ${folder}`, error);
    }
    fallBack(reason);
  }
  return {
    next: () => changes.next(),
    tell: (name) => {
      changes.add(name);
    },
    close: () => {
      ended.abort();
      events.close();
    },
  };
}

/** inotify has a limit for all watches of a user, and one for all programs of a user that watch. */
function refusal(error: unknown): string | undefined {
  const code = systemErrorCode(error) ?? '';
  if (code === 'ENOENT') return 'it is not there now';
  return ['ENOSPC', 'EMFILE', 'ENOSYS'].includes(code) ? `the system watches no more folders (${code})` : undefined;
}

/** Paths that have changed and were not told yet. */
class Changes {
  readonly #signal: AbortSignal;
  #paths = new Set<string>();
  #failure: { readonly reason: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  add(name: string): void {
    this.#paths.add(name);
    this.#wake?.();
  }

  fail(reason: unknown): void {
    this.#failure = { reason };
    this.#wake?.();
  }

  async next(): Promise<ReadonlySet<string>> {
    while (this.#paths.size === 0 && this.#failure === undefined && !this.#signal.aborted) await this.#change();
    const since = performance.now();
    while (performance.now() - since < longestQuietMs && !this.#signal.aborted) {
      const before = this.#paths.size;
      await waitAtMost(quietMs, this.#signal);
      if (this.#paths.size === before) break;
    }
    if (this.#failure !== undefined) throw this.#failure.reason;
    const paths = this.#paths;
    this.#paths = new Set();
    return paths;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        this.#wake = undefined;
        this.#signal.removeEventListener('abort', finish);
        resolve();
      };
      this.#wake = finish;
      this.#signal.addEventListener('abort', finish, { once: true });
    });
  }
}

/** One watcher of the system for each folder that is not skipped: watching recursively would watch skipped ones too. */
class FolderEvents {
  readonly #options: WatchOptions;
  readonly #changes: Changes;
  readonly #watchers = new Map<string, FSWatcher>();
  #isClosed = false;
  onRefused: (reason: string) => void = () => undefined;
  #root: string | undefined;

  constructor(options: WatchOptions, changes: Changes) {
    this.#options = options;
    this.#changes = changes;
  }

  /** Watches a folder and all below it. What is not there (any more) is no failure. */
  async add(name: string): Promise<void> {
    const { folder, skips } = this.#options;
    if (this.#isClosed || this.#watchers.has(name) || (name !== '' && skips(name))) return;
    const watched = path.join(folder, name);
    try {
      this.#watch(name, watched);
      if (name === '') this.#root = await identityOf(folder);
      const entries = await readdir(watched, { withFileTypes: true });
      for (const entry of entries) if (entry.isDirectory()) await this.add(childOf(name, entry.name));
    } catch (error) {
      if (name === '' || !isGone(error)) throw error;
      this.#drop(name);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #watch(name: string, watched: string): void {
    const watcher = watch(watched, { persistent: true }, (type, file) => {
      if (this.#isClosed) return;
      const changed = file === null ? name : childOf(name, file);
      this.#changes.add(changed);
      // A name that came or went may be a folder's.
      if (type === 'rename' && changed !== name) void this.#replace(changed);
      // Nobody tells what comes into the place of the watched folder itself.
      if (type === 'rename' && name === '' && file === path.basename(watched)) void this.#checkRoot();
    });
    this.#watchers.set(name, watcher);
    watcher.on('error', (error) => {
      const reason = refusal(error);
      if (reason !== undefined) this.onRefused(reason);
      else if (!this.#isClosed) this.#changes.add(name);
    });
  }

  /** A folder of this name is another one now, or gone: its watchers are of the old one. */
  async #replace(name: string): Promise<void> {
    const replaced = path.join(this.#options.folder, name);
    this.#drop(name);
    try {
      // What a link leads to is not in the folder.
      if (!(await lstat(replaced)).isDirectory()) return;
      await this.add(name);
      // What was put into it before it was watched has not been told.
      if (this.#watchers.has(name)) this.#changes.add(name);
    } catch (error) {
      if (isGone(error)) return;
      const reason = refusal(error);
      if (reason !== undefined) this.onRefused(reason);
      else this.#changes.fail(whileDoing(`watching ${replaced}`, error));
    }
  }

  async #checkRoot(): Promise<void> {
    const now = await identityOf(this.#options.folder).catch(() => undefined);
    if (now !== this.#root && !this.#isClosed) this.onRefused('it was removed or replaced');
  }

  #drop(name: string): void {
    for (const [watched, watcher] of this.#watchers) {
      if (watched !== name && !watched.startsWith(`${name}/`)) continue;
      watcher.close();
      this.#watchers.delete(watched);
    }
  }
}

/** What is different for another folder of the same name. */
async function identityOf(folder: string): Promise<string> {
  const { dev, ino } = await stat(folder, { bigint: true });
  return `${dev} ${ino}`;
}

function isGone(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP'].includes(systemErrorCode(error) ?? '');
}

/** The path of something in a folder, both relative to the watched one. */
export function childOf(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}
