import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { type HostView, thisHost } from './host-view.js';

/** The programs that have a device or file open, as "vlc (process 812)", as far as this user may know; not this one. */
export async function findHolders(file: string, host: HostView = thisHost): Promise<string[]> {
  const wanted = await stat(file).catch(() => undefined);
  const processes = (await readdir(host.procfs).catch(() => [])).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    processes.map(async (id) => {
      if (wanted === undefined || id === String(process.pid)) return [];
      const folder = path.join(host.procfs, id, 'fd');
      // Processes and their descriptors come and go, and those of other users are not shown.
      const open = await Promise.all(
        (await readdir(folder).catch(() => [])).map((one) => stat(path.join(folder, one)).catch(() => undefined)),
      );
      const isHeld = open.some((one) =>
        wanted.isBlockDevice()
          ? one?.isBlockDevice() && one.rdev === wanted.rdev
          : one?.dev === wanted.dev && one.ino === wanted.ino,
      );
      if (!isHeld) return [];
      const name = await readFile(path.join(host.procfs, id, 'comm'), 'utf8').catch(() => 'a program');
      return `${name.trim()} (process ${id})`;
    }),
  );
  return found.flat();
}
