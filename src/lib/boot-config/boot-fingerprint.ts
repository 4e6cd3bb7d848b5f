import { createHash } from 'node:crypto';
import type { FatFile, FatFileSystem } from '../image/fat-file-system.js';

/** The files that an image came with: MD5 by path, in lower case and without a slash in front. */
export type Fingerprint = ReadonlyMap<string, string>;

const names = ['balenaos.fingerprint', 'resinos.fingerprint', 'resin-boot.fingerprint'] as const;

/** Reads the list that the OS's build puts beside the files of a boot partition (`image_types_balena.bbclass`); undefined without one. */
export async function readFingerprint(files: FatFileSystem): Promise<Fingerprint | undefined> {
  for (const name of names) {
    const list = await files.read(name);
    if (list === undefined) continue;
    const lines = String(list)
      .split('\n')
      .map((line) => /^([0-9a-f]{32}) [ *](?:\.?\/)?(.+?)\r?$/i.exec(line));
    const entries = lines.flatMap((match) => (match === null ? [] : [[match[2] ?? '', match[1] ?? ''] as const]));
    if (entries.length > 0) {
      return new Map(entries.map(([path, md5]) => [path.toLowerCase(), md5.toLowerCase()]));
    }
  }
  return undefined;
}

/** A file of a boot partition by its path, without a slash in front. */
export interface BootPath extends Pick<FatFile, 'size'> {
  readonly path: string;
}

/** All files of a boot partition, those of a folder behind those beside it. */
export async function allFiles(files: FatFileSystem, folder = ''): Promise<BootPath[]> {
  const entries = (await files.list(folder)) ?? [];
  const at = (name: string) => (folder === '' ? name : `${folder}/${name}`);
  const own = entries.filter((one) => !one.isFolder).map(({ name, size }) => ({ path: at(name), size }));
  const inside: BootPath[] = [];
  for (const { name, isFolder } of entries) if (isFolder) inside.push(...(await allFiles(files, at(name))));
  return [...own, ...inside];
}

/** Whether a file is not as the fingerprint has it; false for one that it does not list. */
export async function isChangedSince(fingerprint: Fingerprint, files: FatFileSystem, path: string): Promise<boolean> {
  const md5 = fingerprint.get(path.toLowerCase());
  const content = md5 === undefined ? undefined : await files.read(path);
  return content !== undefined && createHash('md5').update(content).digest('hex') !== md5;
}
