import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { systemErrorCode } from '../failure/while-doing.js';

/** How often a lock that another process holds is looked at again. */
const retryMs = 15;

/** Whoever changes a file holds its lock for milliseconds; one that is this old has lost its owner, on whatever computer that was. */
const staleMs = 10_000;

const patienceMs = 15_000;

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
 * and no change is lost. A new file is for its owner alone; one that exists keeps its mode and its owner, also when root changes it.
 *
 * @param change gets the file's text, undefined without a file, and returns the new one, or undefined to leave it as it is
 */
export async function changeSharedFile(
  file: string,
  change: (text: string | undefined) => string | undefined,
): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const lock = await takeLock(`${file}.lock`);
  try {
    const changed = change(await readSharedFile(file));
    if (changed !== undefined) await replace(file, changed);
  } finally {
    await lock.release();
  }
}

async function replace(file: string, text: string): Promise<void> {
  const existing = await stat(file).catch(() => undefined);
  const temporary = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      if (existing !== undefined) {
        await handle.chmod(existing.mode & 0o777);
        if (process.getuid?.() === 0) await handle.chown(existing.uid, existing.gid);
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

interface Lock {
  readonly release: () => Promise<void>;
}

/** Makes the lock file, which says who made it; there is one maker at a time. */
async function takeLock(file: string): Promise<Lock> {
  const mine = `${process.pid} ${hostname()}`;
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(mine);
    const deadline = performance.now() + patienceMs;
    for (;;) {
      try {
        // Unlike open, link gives the lock its contents at the moment in which it appears.
        await link(draft, file);
        return { release: () => rm(file, { force: true }) };
      } catch (error) {
        if (systemErrorCode(error) !== 'EEXIST') throw error;
      }
      if (await isStale(file)) await breakLock(file, draft);
      else if (performance.now() > deadline) {
        throw new Failure('failed', 'file-locked', `another process has kept ${file} for ${patienceMs / 1000} s`, {
          hint: `If no other davit runs, remove it: rm ${file}`,
        });
      } else await new Promise((resolve) => setTimeout(resolve, retryMs * (0.5 + Math.random())));
    }
  } finally {
    await handle.close();
    await rm(draft, { force: true });
  }
}

async function isStale(file: string): Promise<boolean> {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(file, 'utf8'), stat(file)]);
    return Date.now() - mtimeMs > staleMs || isOfDeadProcess(text);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

function isOfDeadProcess(text: string): boolean {
  const [pid = '', host] = text.split(' ');
  if (!/^[1-9]\d*$/.test(pid) || host !== hostname()) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return systemErrorCode(error) === 'ESRCH';
  }
}

/**
 * Takes away a lock that its owner has left behind. Who does so holds a lock for just that: between a look at a lock and its removal,
 * another process may have done the same and made a lock of its own.
 */
async function breakLock(file: string, draft: string): Promise<void> {
  const guard = `${file}.breaking`;
  try {
    await link(draft, guard);
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
    if (await isStale(guard)) await rm(guard, { force: true });
    return;
  }
  try {
    if (await isStale(file)) await rm(file, { force: true });
  } finally {
    await rm(guard, { force: true });
  }
}
