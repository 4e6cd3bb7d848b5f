import { randomBytes } from 'node:crypto';
import { mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run, runChecked } from '../../src/lib/platform/child-process.js';
import { isRecord } from '../../src/lib/platform/json.js';

const mebibyte = 1024 * 1024;

/** A FAT file system of a test image. */
export interface DiskVolume {
  readonly bits?: 12 | 16 | 32;
  readonly label?: string;
  readonly sectorsPerCluster?: number;
  readonly sectorSize?: number;
  /** Content by path, without a leading slash. */
  readonly files?: Readonly<Record<string, string | Buffer>>;
}

/** One partition of a test image, in the order in which they lie. */
export interface DiskPartition {
  readonly mebibytes: number;
  /** As sfdisk takes it: `c`, `83`, `f`, `U` … */
  readonly type?: string;
  readonly name?: string;
  readonly fat?: DiskVolume;
  readonly ext4?: { readonly label: string; readonly files?: Readonly<Record<string, string>> };
}

/** A disk that was made, as sfdisk sees it; `start` and `size` are bytes. */
export interface DiskImage {
  readonly path: string;
  readonly partitions: readonly { readonly number: number; readonly start: number; readonly size: number }[];
}

/** Makes a disk of any layout with sfdisk, mkfs and mtools, without root; an extended partition (`f`) takes what is left of the disk. */
export async function makeDiskImage(
  file: string,
  table: 'gpt' | 'dos',
  partitions: readonly DiskPartition[],
  options: { readonly sectorSize?: number } = {},
): Promise<DiskImage> {
  const { sectorSize = 512 } = options;
  const isExtended = ({ type }: DiskPartition) => type === 'f' || type === '5';
  const container = partitions.findIndex(isExtended);
  const total = partitions.reduce((sum, { mebibytes }) => sum + mebibytes + 1, 3);
  await writeFile(file, '');
  await truncate(file, total * mebibyte);
  const lines = partitions.map((one, index) => {
    const type = one.type ?? (one.fat === undefined ? 'L' : table === 'gpt' ? 'U' : 'c');
    const size = isExtended(one) ? '' : `size=${(one.mebibytes * mebibyte) / sectorSize}, `;
    const number = container >= 0 && index > container ? index - container + 4 : index + 1;
    return `${number} : ${size}type=${type}${one.name === undefined ? '' : `, name="${one.name}"`}`;
  });
  const script = [`label: ${table}`, ...(table === 'dos' ? ['label-id: 0x12345678'] : []), '', ...lines, ''].join('\n');
  const made = await withSectors(file, sectorSize, async (disk) => {
    await runChecked('making a partition table', 'sfdisk', ['--quiet', '--no-reread', '--no-tell-kernel', disk], {
      input: script,
    });
    return partitionsOf(disk, sectorSize);
  });
  const numbers = partitions.map((_, index) =>
    container >= 0 && index > container ? index - container + 4 : index + 1,
  );
  for (const [index, { fat, ext4 }] of partitions.entries()) {
    const place = made.find(({ number }) => number === numbers[index]);
    if (place === undefined) throw new Error(`sfdisk made no partition ${numbers[index]}`);
    if (fat !== undefined) await makeFat(file, place, fat);
    if (ext4 !== undefined) await makeExt4(file, place, ext4);
  }
  return { path: file, partitions: made };
}

/** A bare FAT file system in a file of its own. */
export async function makeBareFat(file: string, mebibytes: number, volume: DiskVolume): Promise<void> {
  await writeFile(file, '');
  await truncate(file, mebibytes * mebibyte);
  await makeFat(file, { start: 0, size: mebibytes * mebibyte }, volume);
}

/** Lets a disk be looked at in sectors of a size; other than 512 bytes takes a loop device, and so root. */
async function withSectors<T>(file: string, sectorSize: number, work: (disk: string) => Promise<T>): Promise<T> {
  if (sectorSize === 512) return work(file);
  const words = ['--find', '--show', '--sector-size', String(sectorSize), file];
  const loop = (await runChecked('attaching', 'losetup', words)).trim();
  try {
    return await work(loop);
  } finally {
    await runChecked('detaching', 'losetup', ['--detach', loop]);
  }
}

async function partitionsOf(disk: string, sectorSize: number): Promise<DiskImage['partitions']> {
  const listed: unknown = JSON.parse(await runChecked('reading a partition table', 'sfdisk', ['--json', disk]));
  const table = isRecord(listed) && isRecord(listed.partitiontable) ? listed.partitiontable.partitions : undefined;
  const partitions: readonly unknown[] = Array.isArray(table) ? table : [];
  return partitions.map((one) => {
    if (!isRecord(one)) throw new Error('sfdisk lists partitions as objects');
    const { node, start, size } = one;
    const number = Number(/\d+$/.exec(String(node))?.[0]);
    return { number, start: Number(start) * sectorSize, size: Number(size) * sectorSize };
  });
}

async function makeFat(
  file: string,
  { start, size }: { readonly start: number; readonly size: number },
  { bits = 16, label = 'resin-boot', sectorsPerCluster, sectorSize, files = {} }: DiskVolume,
): Promise<void> {
  const work = `${file}.${randomBytes(4).toString('hex')}`;
  // The file system is made apart, because mkfs.vfat counts an offset in its own sectors.
  await writeFile(work, '');
  await truncate(work, size);
  await runChecked('making a file system', 'mkfs.vfat', [
    ...['-F', String(bits), '-n', label, '-i', '0da71701', '--invariant'],
    ...(sectorsPerCluster === undefined ? [] : ['-s', String(sectorsPerCluster)]),
    ...(sectorSize === undefined ? [] : ['-S', String(sectorSize)]),
    work,
  ]);
  const folder = `${work}.files`;
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), content);
  }
  const topLevel = [...new Set(Object.keys(files).map((name) => name.split('/')[0] ?? name))];
  if (topLevel.length > 0) {
    const sources = topLevel.map((name) => path.join(folder, name));
    await runChecked('filling a file system', 'mcopy', ['-s', '-i', work, ...sources, '::/']);
  }
  await runChecked('placing a file system', 'dd', [
    ...[`if=${work}`, `of=${file}`, `seek=${start}`, 'bs=1M', 'oflag=seek_bytes', 'conv=notrunc,sparse', 'status=none'],
  ]);
  await rm(work, { force: true });
  await rm(folder, { recursive: true, force: true });
}

async function makeExt4(
  file: string,
  { start, size }: { readonly start: number; readonly size: number },
  { label, files = {} }: { readonly label: string; readonly files?: Readonly<Record<string, string>> },
): Promise<void> {
  const folder = `${file}.${randomBytes(4).toString('hex')}.files`;
  await mkdir(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), content);
  }
  await runChecked('making a file system', 'mke2fs', [
    ...[
      '-q',
      '-F',
      '-t',
      'ext4',
      '-L',
      label,
      '-d',
      folder,
      '-E',
      `offset=${start},nodiscard`,
      file,
      `${size / 1024}k`,
    ],
  ]);
  await rm(folder, { recursive: true, force: true });
}

/** Copies a range of a file into another file, for programs that want a file system alone. */
export async function extract(
  file: string,
  { start, size }: { readonly start: number; readonly size: number },
  to: string,
): Promise<void> {
  await runChecked('taking a partition out', 'dd', [
    ...[`if=${file}`, `of=${to}`, `skip=${start}`, `count=${size}`, 'bs=1M'],
    ...['iflag=skip_bytes,count_bytes', 'conv=sparse', 'status=none'],
  ]);
}

/** What fsck.fat has to say about a FAT file system in a partition, or nothing. */
export async function fatComplaints(
  file: string,
  place: { readonly start: number; readonly size: number },
): Promise<string> {
  const copy = `${file}.${randomBytes(4).toString('hex')}.fsck`;
  await extract(file, place, copy);
  const { exitCode, stdout } = await run('fsck.fat', ['-n', copy]);
  await rm(copy, { force: true });
  return exitCode === 0 ? '' : stdout;
}
