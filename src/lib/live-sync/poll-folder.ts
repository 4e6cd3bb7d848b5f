import { lstat, readdir } from 'node:fs/promises';
import path from 'node:path';
import { systemErrorCode } from '../failure/while-doing.js';
import { waitAtMost } from '../platform/wait.js';
import { childOf, type WatchOptions } from './watch-folder.js';

/** How often a small folder is looked through; a large one rests four times as long as looking takes. */
const shortestRestMs = 500;

/**
 * Looks through a folder again and again and tells each path that has changed, until the signal is aborted. The first look tells `''`: whatever
 * was known before may have changed since.
 */
export async function pollFolder(
  { folder, skips }: Pick<WatchOptions, 'folder' | 'skips'>,
  signal: AbortSignal,
  changed: (path: string) => void,
): Promise<void> {
  let before = await stateOf(folder, skips);
  changed('');
  let restMs = shortestRestMs;
  while (!signal.aborted) {
    await waitAtMost(restMs, signal);
    const startedAt = performance.now();
    const now = await stateOf(folder, skips);
    restMs = Math.max(shortestRestMs, 4 * (performance.now() - startedAt));
    for (const [name, state] of now) if (before.get(name) !== state) changed(name);
    for (const name of before.keys()) if (!now.has(name)) changed(name);
    before = now;
  }
}

/** What changes of each file, link and folder when somebody changes it. */
async function stateOf(folder: string, skips: WatchOptions['skips']): Promise<Map<string, string>> {
  const states = new Map<string, string>();
  const look = async (name: string): Promise<void> => {
    for (const entry of await entriesOf(path.join(folder, name))) {
      const child = childOf(name, entry.name);
      const isFolder = entry.isDirectory();
      if (isFolder && skips(child)) continue;
      const state = await stampOf(path.join(folder, child));
      if (state === undefined) continue;
      // The time of a folder changes with every file in it, which is told by itself.
      states.set(child, isFolder ? 'folder' : state);
      if (isFolder) await look(child);
    }
  };
  await look('');
  return states;
}

async function entriesOf(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

async function stampOf(file: string): Promise<string | undefined> {
  try {
    const { mtimeNs, ctimeNs, size, mode, ino } = await lstat(file, { bigint: true });
    return [mtimeNs, ctimeNs, size, mode, ino].join();
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

function isGone(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'EACCES'].includes(systemErrorCode(error) ?? '');
}
