import { randomBytes } from 'node:crypto';
import { open, readFile, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { systemErrorCode } from '../failure/while-doing.js';

/** What is done under a lock takes milliseconds; a lock this old was left behind. */
const longestHeldMs = 10_000;

const retryMs = 20;

/**
 * Does something that only one process at a time may do, such as changing a file that is read first. The lock is `<file>.lock`, whose
 * folder exists; one that a process has left behind by dying is taken over. Fails with the system's error where none can be made.
 */
export async function withFileLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  const lock = `${file}.lock`;
  const owner = `${hostname()} ${process.pid} ${randomBytes(8).toString('hex')}`;
  while (!(await take(lock, owner))) {
    if (await isAbandoned(lock)) await breakLock(lock, owner);
    else await wait(retryMs * Math.random());
  }
  try {
    return await work();
  } finally {
    // It is somebody else's if this process was stopped for so long that it seemed dead.
    if ((await textOf(lock)) === owner) await rm(lock, { force: true });
  }
}

async function take(lock: string, owner: string): Promise<boolean> {
  try {
    const handle = await open(lock, 'wx', 0o600);
    try {
      await handle.writeFile(owner);
    } finally {
      await handle.close();
    }
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Removes an abandoned lock. Of several processes that see it only one may: another would remove the lock that has been taken
 * since. So this has a lock of its own, under which it is looked at once more.
 */
async function breakLock(lock: string, owner: string): Promise<void> {
  const breaking = `${lock}.break`;
  if (!(await take(breaking, owner))) {
    if (await isOld(breaking)) await rm(breaking, { force: true });
    await wait(retryMs);
    return;
  }
  try {
    if (await isAbandoned(lock)) await rm(lock, { force: true });
  } finally {
    await rm(breaking, { force: true });
  }
}

async function isAbandoned(lock: string): Promise<boolean> {
  const [host, id] = ((await textOf(lock)) ?? '').split(' ');
  // Process numbers of another computer, which may share the folder, mean nothing here.
  return (host === hostname() && !isRunning(Number(id))) || (await isOld(lock));
}

async function isOld(file: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(file)).mtimeMs > longestHeldMs;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function isRunning(id: number): boolean {
  if (!Number.isSafeInteger(id) || id <= 0) return true;
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    return systemErrorCode(error) !== 'ESRCH';
  }
}
