import type { Stats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { shellWord } from '../platform/shell-word.js';
import type { Drive } from './drive.js';
import { loopDevices } from './drive-uses.js';
import type { HostView } from './host-view.js';

/** What is known of a regular file that stands for a card. */
export async function fileAsDrive(file: string, stats: Stats, host: HostView): Promise<Drive> {
  const { dev, ino, size } = stats;
  const failures: Failure[] = [];
  if (size === 0) {
    const hint = `Remove it, and it is made as large as the image: rm ${shellWord(file)}`;
    failures.push(new Failure('refused', 'no-medium', `the file ${file} is empty`, { hint }));
  }
  for (const loop of await loopsOf(stats, host)) {
    const hint = `Use ${loop} itself, or first run: sudo losetup --detach ${loop}`;
    failures.push(new Failure('refused', 'drive-in-use', `the file ${file} is attached to ${loop}`, { hint }));
  }
  const refusals = failures.map((failure) => ({ risk: null, failure }));
  return { ...plainFile, ...sizes(size), path: file, isNew: false, identity: `${dev}:${ino} ${size}`, refusals };
}

/** A file that is not there yet, in a folder that is. Its size is not known before the image is, see `withSize`. */
export async function newFileAsDrive(file: string): Promise<Drive> {
  const folder = await realpath(path.dirname(file)).catch((error: unknown) => {
    throw whileDoing(`looking at ${file}`, error);
  });
  const identity = `new file ${path.join(folder, path.basename(file))}`;
  return { ...plainFile, ...sizes(0), path: file, isNew: true, identity, refusals: [] };
}

/** The same drive as large as an image if it is a file that is made for it. */
export function withSize(drive: Drive, size: number): Drive {
  return drive.isNew ? { ...drive, ...sizes(size) } : drive;
}

const plainFile = {
  isFile: true,
  model: undefined,
  serial: undefined,
  bus: undefined,
  slot: undefined,
  byId: [],
  byPath: [],
  isReadOnly: false,
  isRemovable: false,
  partitions: [],
  contents: [],
  accepted: [],
  taken: [],
} as const;

/** Direct I/O on a file works in units of the drive below it, which are 4096 bytes at most. */
function sizes(size: number): Pick<Drive, 'size' | 'sectorSize'> {
  return { size, sectorSize: size % 4096 === 0 ? 4096 : 1 };
}

/** The loop devices that a file is attached to, under whatever name. */
async function loopsOf(file: Stats, host: HostView): Promise<string[]> {
  const loops = await loopDevices(host);
  const found = await Promise.all(
    loops.map(async ({ name, backingFile }) => {
      const backing = await stat(backingFile).catch(() => undefined);
      return backing?.dev === file.dev && backing.ino === file.ino ? `/dev/${name}` : [];
    }),
  );
  return found.flat();
}
