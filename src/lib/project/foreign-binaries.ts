import { closeSync, constants, openSync, readSync } from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { BuildContext } from './build-context.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { interrupted } from '../failure/failure.js';

/** Programs and libraries of a context that are for another kind of computer. */
export interface ForeignBinaries {
  /** What they are for: `x86-64`, `macOS`. */
  readonly made: string;
  readonly count: number;
  /** A few of their paths. */
  readonly examples: readonly string[];
}

/** Files that are looked into; those that come later are taken on trust. */
const mostFiles = 5000;
const mostExamples = 3;

const filesAtOnce = 100;

const machines: Readonly<Record<number, string>> = { 3: 'x86', 40: 'ARM', 62: 'x86-64', 183: 'ARM 64', 243: 'RISC-V' };

/** Machines whose programs a kind of device runs. */
const runs: Readonly<Record<string, readonly string[]>> = {
  amd64: ['x86-64', 'x86'],
  i386: ['x86'],
  aarch64: ['ARM 64', 'ARM'],
  armv7hf: ['ARM'],
  rpi: ['ARM'],
};

/**
 * Looks for programs in a build context that cannot run on a device, as they come with a `node_modules` or a build folder of this computer. Only
 * the first bytes of files are read whose names have the endings of such files or none at all, and of the first few thousand of these.
 *
 * @param architecture as balena names it; of one that is not known nothing is said
 */
export async function findForeignBinaries(
  { folder, paths }: Pick<BuildContext, 'folder' | 'paths'>,
  architecture: string | undefined,
  signal?: AbortSignal,
): Promise<readonly ForeignBinaries[]> {
  const allowed = architecture === undefined ? undefined : runs[architecture];
  if (allowed === undefined) return [];
  const found = new Map<string, string[]>();
  const suspects = paths
    .filter((name) => /(\.(so(\.[\d.]+)?|node|bin|o)|(^|\/)[^./][^.]*)$/.test(name))
    .slice(0, mostFiles);
  for (const [index, name] of suspects.entries()) {
    // Signals are heard in between.
    if (index % filesAtOnce === 0) await setImmediate();
    if (signal?.aborted === true) throw interrupted();
    const made = machineOf(firstBytes(path.join(folder, name)));
    if (made !== undefined && !allowed.includes(made)) found.set(made, [...(found.get(made) ?? []), name]);
  }
  return Array.from(found, ([made, names]) => ({ made, count: names.length, examples: names.slice(0, mostExamples) }));
}

/** The first bytes of a file. Thousands of files that are in the cache are read several times as fast without leaving the thread. */
function firstBytes(file: string): Buffer {
  try {
    const handle = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return start.subarray(0, readSync(handle, start, 0, start.length, 0));
    } finally {
      closeSync(handle);
    }
  } catch (error) {
    // Folders are among the paths, and links that lead nowhere.
    if (['EISDIR', 'ENOENT', 'ELOOP', 'ENOTDIR'].includes(systemErrorCode(error) ?? '')) return Buffer.alloc(0);
    throw whileDoing(`reading ${file}`, error);
  }
}

const start = Buffer.alloc(20);

/** What a program is made for, by the header of its ELF or Mach-O file. */
function machineOf(bytes: Buffer): string | undefined {
  if (bytes.length < 20) return undefined;
  const magic = bytes.readUInt32BE(0);
  if (magic === 0xcffaedfe || magic === 0xcefaedfe) return 'macOS';
  if (magic !== 0x7f454c46) return undefined;
  const isLittle = bytes[5] === 1;
  const machine = isLittle ? bytes.readUInt16LE(18) : bytes.readUInt16BE(18);
  return machines[machine] ?? `machine ${machine} of ELF`;
}
