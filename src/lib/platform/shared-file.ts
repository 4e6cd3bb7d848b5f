import { randomBytes } from 'node:crypto';
import { lchown, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { systemErrorCode } from '../failure/while-doing.js';
import { withFileLock } from './file-lock.js';

/** The text of a file, or undefined when there is none. */
export async function readSharedFile(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Changes a small file that any number of processes may read and change at once: readers see it as it was before or as it is after,
 * and no change is lost. A new file is for its owner alone; one that exists keeps its mode and its owner, also when root changes it. What
 * root makes in somebody's folder is theirs.
 *
 * @param change gets the file's text, undefined without a file, and returns the new one, or undefined to leave it as it is
 */
export async function changeSharedFile(
  file: string,
  change: (text: string | undefined) => string | undefined,
): Promise<void> {
  await makeFolder(path.dirname(file));
  await withFileLock(file, async () => {
    const changed = change(await readSharedFile(file));
    if (changed !== undefined) await replace(file, changed);
  });
}

/**
 * Makes a folder and those above it that are not there. Node's own way to do so never ends where the system lets nobody make one and says that
 * it is not there, as below the /home of an automounter.
 */
async function makeFolder(folder: string): Promise<void> {
  if (await isThere(folder)) return;
  const above = path.dirname(folder);
  if (above !== folder) await makeFolder(above);
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    // Another process may have been first.
    if (systemErrorCode(error) === 'EEXIST') return;
    throw error;
  }
  if (!isRoot()) return;
  const { uid, gid } = await stat(above);
  await lchown(folder, uid, gid);
}

async function isThere(folder: string): Promise<boolean> {
  return stat(folder).then(
    () => true,
    () => false,
  );
}

async function replace(file: string, text: string): Promise<void> {
  const existing = await stat(file).catch(() => undefined);
  // Nobody can have put a link under this name, which root would follow.
  const temporary = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      if (existing !== undefined) await handle.chmod(existing.mode & 0o777);
      if (isRoot()) {
        const { uid, gid } = existing ?? (await stat(path.dirname(file)));
        await handle.chown(uid, gid);
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}
