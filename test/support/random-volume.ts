import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { runProgram } from './davit.js';
import { hashesOfFiles } from './disk-content.js';
import { checked, fillFile } from './loop-device.js';
import { squashfsToolsMissing } from './programs.js';
import type { SeededRandom } from './seeded-random.js';

/** What a random partition can hold. */
export type VolumeKind = 'ext' | 'fat' | 'squashfs' | 'swap' | 'blob' | 'zeros';

const mebibyte = 1024 * 1024;

/** What can be told of a volume without mounting it: how its checker ends, and the SHA-256 of each file. */
export interface VolumeContent {
  readonly checker: number | null;
  readonly files: Readonly<Record<string, string>>;
}

/** One way to make a partition's content and to read it again. */
interface VolumeMaker {
  readonly sizes: readonly [least: number, most: number];
  /** Fills a file of the partition's size, which holds zeros or rubbish, and gives the words that made it. Fails for options that do not fit. */
  readonly make: (file: string, size: number, random: SeededRandom) => Promise<readonly string[]>;
  /** The files of one, written into a folder. */
  readonly check: (file: string, tree: string) => Promise<number | null>;
}

const makers: Readonly<Record<VolumeKind, VolumeMaker>> = {
  ext: { sizes: [6, 40], make: makeExt, check: checkExt },
  fat: { sizes: [2, 48], make: makeFat, check: checkFat },
  squashfs: { sizes: [6, 10], make: makeSquashfs, check: checkSquashfs },
  swap: { sizes: [1, 8], make: makeSwap, check: (file, tree) => keep(file, tree, 4096) },
  blob: { sizes: [1, 3], make: makeBlob, check: (file, tree) => keep(file, tree) },
  zeros: { sizes: [1, 3], make: makeZeros, check: (file, tree) => keep(file, tree) },
};

/** A kind of volume at random, mostly a file system that has free space. */
export function randomKind(random: SeededRandom): VolumeKind {
  const kind = random.pick<VolumeKind>([
    'ext',
    'ext',
    'ext',
    'ext',
    'fat',
    'fat',
    'fat',
    'squashfs',
    'swap',
    'blob',
    'zeros',
  ]);
  return kind === 'squashfs' && squashfsToolsMissing !== false ? 'ext' : kind;
}

/** Bytes for a volume of a kind, in whole sectors. */
export function randomSize(kind: VolumeKind, random: SeededRandom): number {
  const [least, most] = makers[kind].sizes;
  return least * mebibyte + random.below((most - least) * 2048) * 512;
}

/** Makes a volume with random options and random files, some of them deleted again; gives the words that made it. */
export async function makeVolume(kind: VolumeKind, file: string, size: number, random: SeededRandom): Promise<string> {
  const isDirty = random.below(2) === 0;
  for (let attempt = 0; attempt < 20; attempt += 1) {
    await fillFile(file, size, isDirty ? 0x55 : 0);
    try {
      return (await makers[kind].make(file, size, random)).join(' ');
    } catch {
      // Options were picked that do not fit each other or the size; others will.
    }
  }
  throw new Error(`no ${kind} of ${size} bytes could be made`);
}

/** Reads a volume out of an image or a card. */
export async function volumeContent(
  kind: VolumeKind,
  disk: string,
  range: { readonly start: number; readonly size: number },
  folder: string,
): Promise<VolumeContent> {
  const file = path.join(folder, 'volume');
  const tree = path.join(folder, 'volume.tree');
  try {
    await mkdir(tree);
    const words = [`skip=${range.start}`, `count=${range.size}`, 'iflag=skip_bytes,count_bytes'];
    await checked(['dd', `if=${disk}`, `of=${file}`, 'bs=4M', 'status=none', ...words]);
    const checker = await makers[kind].check(file, tree);
    return { checker, files: await hashesOfFiles(tree) };
  } finally {
    await rm(tree, { recursive: true, force: true });
    await rm(file, { force: true });
  }
}

async function makeExt(file: string, size: number, random: SeededRandom): Promise<readonly string[]> {
  const blockSize = random.pick([1024, 1024, 2048, 4096, 4096, 65536]);
  const type = random.pick(['ext2', 'ext3', 'ext4', 'ext4', 'ext4']);
  const maybe = <T>(...values: readonly T[]) => (random.below(3) === 0 ? values : []);
  const features = [
    ...maybe('meta_bg', '^resize_inode'),
    ...maybe('^flex_bg'),
    ...maybe('64bit'),
    ...maybe('^64bit'),
    ...maybe('^metadata_csum', 'uninit_bg'),
    ...maybe('^metadata_csum', '^uninit_bg'),
    ...maybe('sparse_super2', '^resize_inode'),
    ...maybe('^sparse_super', '^resize_inode'),
    ...maybe('^has_journal'),
    ...maybe('inline_data'),
    ...maybe('^extent', '^64bit'),
    ...maybe('bigalloc'),
  ];
  const hasClusters = features.includes('bigalloc');
  const extended = ['nodiscard', `lazy_itable_init=${random.below(2)}`, ...maybe('packed_meta_blocks=1')];
  // A file system may be smaller than its partition.
  const blocks = Math.floor((random.below(4) === 0 ? size * 0.8 : size) / blockSize);
  const words = [
    ...['-t', type, '-b', String(blockSize), '-m', String(random.below(6))],
    ...(features.length > 0 ? ['-O', features.join(',')] : []),
    ...(hasClusters
      ? ['-C', String(blockSize * random.pick([2, 4, 16]))]
      : maybe('-g', String(random.pick([256, 512, 1024, 8192])))),
    ...maybe('-G', String(random.pick([2, 4, 16, 64]))),
    ...maybe('-I', String(random.pick([128, 256, 512]))),
    ...maybe('-i', String(random.pick([4096, 16384, 65536]))),
    ...['-E', extended.join(',')],
  ];
  const tree = `${file}.tree`;
  const names = await writeFiles(tree, size / 4, random);
  try {
    await checked(['mke2fs', '-q', '-F', ...words, '-d', tree, file, String(blocks)]);
    const doomed = names.filter(() => random.below(3) === 0);
    const more = names.filter(() => random.below(4) === 0);
    const requests = [
      ...doomed.map((name) => `rm ${name}`),
      ...more.map((name, index) => `write ${path.join(tree, name)} more-${index}`),
    ];
    if (requests.length > 0) await checked(['debugfs', '-w', '-f', '-', file], `${requests.join('\n')}\n`);
    if (random.below(8) === 0) await checked(['debugfs', '-w', '-R', 'feature needs_recovery', file]);
    return ['mke2fs', ...words, String(blocks)];
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
}

async function checkExt(file: string, tree: string): Promise<number | null> {
  await checked(['debugfs', '-R', `rdump / ${tree}`, file]);
  return (await runProgram(['e2fsck', '-fn', file])).exitCode;
}

async function makeFat(file: string, size: number, random: SeededRandom): Promise<readonly string[]> {
  const sectorSize = random.pick([512, 512, 512, 1024, 2048, 4096]);
  const words = [
    ...[
      '-F',
      random.pick(['12', '16', '16', '32']),
      '-S',
      String(sectorSize),
      '-s',
      String(random.pick([1, 1, 2, 4, 8, 32])),
    ],
    ...['-f', String(random.pick([1, 2, 2])), '-R', String(random.pick([1, 2, 32, 77]))],
    ...(random.below(2) === 0 ? ['-a'] : []),
    ...(random.below(4) === 0 ? ['-r', '64'] : []),
  ];
  const tree = `${file}.tree`;
  const names = await writeFiles(tree, size / 4, random);
  try {
    await checked(['mkfs.vfat', ...words, file]);
    const copy = (name: string, to: string) => checked(['mcopy', '-i', file, path.join(tree, name), `::/${to}`]);
    for (const name of names) await copy(name, name);
    for (const name of names) if (random.below(3) === 0) await checked(['mdel', '-i', file, `::/${name}`]);
    await checked(['mmd', '-i', file, '::/folder']);
    for (const name of names) if (random.below(4) === 0) await copy(name, `folder/${name}`);
    if (random.below(8) === 0) await patchByte(file, words[1] === '32' ? 65 : 37, 1);
    return ['mkfs.vfat', ...words];
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
}

async function checkFat(file: string, tree: string): Promise<number | null> {
  await checked(['mcopy', '-s', '-n', '-i', file, '::', tree]);
  return (await runProgram(['fsck.fat', '-n', file])).exitCode;
}

async function makeSquashfs(file: string, size: number, random: SeededRandom): Promise<readonly string[]> {
  const words = ['-comp', random.pick(['gzip', 'xz', 'zstd', 'lz4']), '-b', random.pick(['4096', '131072', '1048576'])];
  const tree = `${file}.tree`;
  const made = `${file}.squashfs`;
  await writeFiles(tree, size / 3, random);
  try {
    await checked(['mksquashfs', tree, made, '-quiet', '-no-progress', ...words]);
    await checked(['dd', `if=${made}`, `of=${file}`, 'bs=1M', 'conv=notrunc', 'status=none']);
    return ['mksquashfs', ...words];
  } finally {
    await rm(tree, { recursive: true, force: true });
    await rm(made, { force: true });
  }
}

async function checkSquashfs(file: string, tree: string): Promise<number | null> {
  return (await runProgram(['unsquashfs', '-quiet', '-no-progress', '-force', '-dest', tree, file])).exitCode;
}

async function makeSwap(file: string, _size: number, random: SeededRandom): Promise<readonly string[]> {
  const words = ['--pagesize', random.pick(['4096', '16384', '65536'])];
  await checked(['mkswap', '--quiet', ...words, file]);
  return ['mkswap', ...words];
}

async function makeBlob(file: string, size: number, random: SeededRandom): Promise<readonly string[]> {
  await writeFile(file, random.bytes(size));
  return ['random bytes'];
}

async function makeZeros(file: string, size: number): Promise<readonly string[]> {
  await fillFile(file, size, 0);
  return ['zeros'];
}

/** Keeps the first bytes of a volume, or all, as the one file that is in it. */
async function keep(file: string, tree: string, size?: number): Promise<null> {
  await writeFile(path.join(tree, 'content'), (await readFile(file)).subarray(0, size));
  return null;
}

/** Writes files of random sizes, some of them empty, some compressible. */
async function writeFiles(folder: string, bytes: number, random: SeededRandom): Promise<string[]> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  const names: string[] = [];
  for (let left = bytes; left > 0 && names.length < 24;) {
    const size = random.pick([0, 1, 700, random.below(5_000), random.below(60_000), random.below(1_000_000)]);
    left -= size + 10_000;
    if (left < 0) break;
    const name = `file-${names.length}`;
    const content = random.below(3) === 0 ? Buffer.alloc(size, name) : random.bytes(size);
    await writeFile(path.join(folder, name), content);
    names.push(name);
  }
  return names;
}

async function patchByte(file: string, offset: number, value: number): Promise<void> {
  const handle = await open(file, 'r+');
  await handle.write(Uint8Array.of(value), 0, 1, offset);
  await handle.close();
}
