import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { Failure } from '../../../src/lib/failure/failure.js';
import { openBlockFile } from '../../../src/lib/image/block-file.js';
import type { FatFileSystem } from '../../../src/lib/image/fat-file-system.js';
import { Overlay } from '../../../src/lib/image/overlay.js';
import { run, runChecked } from '../../../src/lib/platform/child-process.js';
import { rounds } from '../../support/campaign.js';
import {
  assertUntouched,
  clustersByMtools,
  isPlain,
  volumeFacts,
  type VolumeFacts,
} from '../../support/fat-clusters.js';
import {
  assertClean,
  asMtoolsReads,
  type FatDisk,
  type FatOptions,
  makeFatDisk,
  openFat,
} from '../../support/fat-disk.js';
import { type SeededRandom, seededRandom } from '../../support/seeded-random.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const kibibyte = 1024;
const mebibyte = 1024 * 1024;

/** File systems of all kinds, most of them so small that they are full before long. */
const shapes: readonly FatOptions[] = [
  { bits: 12, size: 160 * kibibyte, clusterSectors: 1, words: ['-r', '32'] },
  { bits: 12, size: 2 * mebibyte, clusterSectors: 8, words: ['-f', '1'] },
  { bits: 12, size: 3 * mebibyte, clusterSectors: 64 },
  { bits: 12, size: mebibyte, clusterSectors: 1, words: ['-S', '1024', '-R', '7'] },
  { bits: 16, size: 2200 * kibibyte, clusterSectors: 1, words: ['-r', '48', '-a'] },
  { bits: 16, size: 40 * mebibyte },
  { bits: 16, size: 17 * mebibyte, clusterSectors: 1, words: ['-S', '4096'] },
  { bits: 16, size: 300 * mebibyte, clusterSectors: 128 },
  // mtools has no FAT32 with fewer clusters than Microsoft asks for.
  { bits: 32, size: 34 * mebibyte, clusterSectors: 1, words: ['-R', '9'] },
  { bits: 32, size: 140 * mebibyte, clusterSectors: 1, words: ['-S', '2048', '-f', '1'] },
  { bits: 32, size: 4400 * mebibyte, clusterSectors: 128 },
];

/** One file, or a folder, which has no content. */
interface Node {
  readonly path: string;
  readonly content?: Buffer;
}

/** What must be on a disk. Names are the same whatever their case, and keep the one they were made with. */
class ExpectedTree {
  readonly #nodes: Map<string, Node>;

  constructor(nodes: Iterable<readonly [string, Node]> = []) {
    this.#nodes = new Map(nodes);
  }

  copy(): ExpectedTree {
    return new ExpectedTree(this.#nodes);
  }

  get(name: string): Node | undefined {
    return this.#nodes.get(name.toLowerCase());
  }

  all(): Node[] {
    return [...this.#nodes.values()];
  }

  files(): Node[] {
    return this.all().filter((node) => node.content !== undefined);
  }

  children(folder: string): Node[] {
    return this.all().filter((node) => path.posix.dirname(node.path).toLowerCase() === folder.toLowerCase());
  }

  /** Puts a file, or a folder, and the folders above it. */
  put(name: string, content?: Buffer): void {
    const above = path.posix.dirname(name);
    if (above !== '.' && this.get(above) === undefined) this.put(above);
    const existing = this.get(name)?.path;
    const parent = this.get(above)?.path;
    const made = parent === undefined ? name : `${parent}/${path.posix.basename(name)}`;
    this.#nodes.set(name.toLowerCase(), { path: existing ?? made, ...(content === undefined ? {} : { content }) });
  }

  remove(name: string): void {
    this.#nodes.delete(name.toLowerCase());
  }

  /** Whether one of the folders above a name is a file. */
  isBelowFile(name: string): boolean {
    const above = path.posix.dirname(name);
    return above !== '.' && (this.get(above)?.content !== undefined || this.isBelowFile(above));
  }
}

const ascii = Array.from("abcdefgxyzABCXYZ0123456789 .-_!#$%&'()@^`{}~+,;=[]");
/** Letters that mtools can have in names. */
const letters = [...ascii, ...Array.from('äöüßÄÖÜéèñøåÅ日本語テスト中文аяЖλΩ')];

function randomWord(random: SeededRandom, from: readonly string[], length: number): string {
  return Array.from({ length }, () => random.pick(from)).join('');
}

/** A name of a kind that has gone wrong in some FAT implementation. */
function randomName(random: SeededRandom): string {
  switch (random.below(9)) {
    case 0:
      return random.pick(['config.json', 'README.TXT', 'home', 'UPPER', 'Mixed.Case', 'a', 'B.C', 'EIGHTLET.EXT']);
    case 1:
      // All of these want the same short name.
      return `collision number ${random.below(30)}.json`;
    case 2:
      return `COLLIS~${random.below(4)}X${random.pick(['', '.js', '.jso', '.json'])}`;
    case 3:
      return random.pick(['.hidden', '..two', 'a..b', '.a.b.c', ' lead', '  ', 'x .y', 'tail.', 'tail ', '. .', 'nul']);
    case 4:
      // The letters of one slot of a long name, of many, and one more or less.
      return randomWord(random, Array.from('abcXYZ'), random.pick([8, 9, 12, 13, 14, 25, 26, 27, 39, 52, 254, 255]));
    case 5:
      return randomWord(random, Array.from('日本語äöü'), random.pick([1, 2, 12, 13, 14, 26, 80]));
    case 6:
      return randomWord(random, ascii, 1 + random.below(14));
    default:
      return randomWord(random, letters, 1 + random.below(20));
  }
}

/** Whether FAT can have a name; what it cannot have is refused. */
function isGoodName(name: string): boolean {
  return !/[. ]$/.test(name) && name.length <= 255;
}

function otherCase(random: SeededRandom, name: string): string {
  return random.below(2) === 0 ? name.toUpperCase() : name.replaceAll(/[A-Za-z]/g, (letter) => letter.toLowerCase());
}

/** Names a new place, or one that is there, sometimes in another case. */
function randomPath(random: SeededRandom, tree: ExpectedTree): string {
  const folders = ['', ...tree.all().flatMap((node) => (node.content === undefined ? [node.path] : []))];
  const [existing] = tree.all().length > 0 && random.below(2) === 0 ? [random.pick(tree.all()).path] : [];
  if (existing !== undefined) {
    // Upper case of a sharp s are two letters, which is another name.
    const other = random.below(4) === 0 ? otherCase(random, existing) : existing;
    return other.toLowerCase() === existing.toLowerCase() ? other : existing;
  }
  const deeper = random.below(8) === 0 ? [randomName(random)].filter(isGoodName) : [];
  return [random.below(4) === 0 ? '' : random.pick(folders), ...deeper, randomName(random)]
    .filter((part) => part !== '')
    .join('/');
}

function hasCode(...codes: readonly string[]) {
  return (error: unknown) => error instanceof Failure && codes.includes(error.code);
}

const sizes = [0, 1, 511, 512, 513, 2048, 4096, 9000, 30_000, 100_000] as const;

/** A change by davit that was refused because the disk is full. */
class Refused extends Error {}

/** One random change by davit, carried out on the disk and in the tree. */
async function changeByDavit(
  random: SeededRandom,
  fat: FatFileSystem,
  tree: ExpectedTree,
  volume: VolumeFacts,
): Promise<void> {
  const name = randomPath(random, tree);
  const existing = tree.get(name);
  const isGood = name.split('/').every(isGoodName);
  const choice = random.below(9);
  // Names that are somebody's short name have a test of their own.
  if (existing === undefined && ((await fat.read(name)) ?? (await fat.list(name))) !== undefined) return;
  if (choice < 3) {
    if (tree.children(name).length > 0) return assert.rejects(fat.remove(name), hasCode('folder-not-empty'));
    assert.equal(await fat.remove(name), existing !== undefined, `removing ${name}`);
    tree.remove(name);
    return;
  }
  const content = choice === 3 ? undefined : random.bytes(random.pick(sizes));
  const size = content?.length ?? 1;
  const isOfOtherKind = existing !== undefined && (existing.content === undefined) !== (content === undefined);
  const free = fat.freeBytes;
  const isShort = isScarce(name, size, free, tree, volume);
  try {
    await (content === undefined ? fat.makeFolder(name) : fat.write(name, content));
    assert.ok(isGood && !isOfOtherKind && !tree.isBelowFile(name), `${name} was written`);
  } catch (error) {
    if (isOfOtherKind || tree.isBelowFile(name)) {
      assert.ok(hasCode('boot-path-taken', 'invalid-file-name')(error), String(error));
      return;
    }
    if (isShort && hasCode('boot-partition-full')(error)) throw new Refused(name);
    if (isGood || !hasCode('invalid-file-name')(error)) throw error;
    return;
  }
  tree.put(name, content);
}

/** Whether there could be too little room, by a generous measure: for the content, and for each name a folder that is made and one that grows. */
function isScarce(name: string, size: number, free: number, tree: ExpectedTree, volume: VolumeFacts): boolean {
  const parts = name.split('/');
  const entry = Math.ceil(672 / volume.clusterSize);
  const clusters = Math.ceil(size / volume.clusterSize) + parts.length * (2 + entry);
  const slots = tree.children('.').reduce((sum, node) => sum + 1 + Math.ceil(node.path.length / 13), 1);
  const isNewInRoot = tree.get(parts[0] ?? '') === undefined;
  // Names that were removed leave holes that are too short for others.
  const isRootFull = volume.rootEntries > 0 && isNewInRoot && slots > volume.rootEntries / 8;
  return clusters * volume.clusterSize > free || isRootFull;
}

/** Whether mtools gives a name back: of one that could be short it loses the case of letters that are not ASCII. */
function isKeptByMtools(name: string): boolean {
  return /^[ -~]*$/.test(name) || name.length > 12;
}

/** One random change by mtools. */
async function changeByMtools(
  random: SeededRandom,
  disk: string,
  tree: ExpectedTree,
  volume: VolumeFacts,
  source: string,
): Promise<void> {
  const name = randomPath(random, tree);
  const existing = tree.get(name);
  if (!name.split('/').every((part) => isGoodName(part) && isPlain(part) && isKeptByMtools(part))) return;
  const above = path.posix.dirname(name);
  if (tree.isBelowFile(name) || (above !== '.' && tree.get(above) === undefined)) return;
  const mtools = (program: string, ...words: string[]) =>
    runChecked('changing with mtools', program, ['-i', disk, ...words]);
  const content = random.bytes(random.pick(sizes));
  // mtools leaves half of a file where there is too little room.
  const isFull = isScarce(name, content.length, await freeBytes(disk), tree, volume);
  if (existing === undefined) {
    if (random.below(3) === 0) {
      if (isFull) return;
      await mtools('mmd', `::/${name}`);
      tree.put(name);
      return;
    }
  } else if (existing.content === undefined) {
    if (tree.children(existing.path).length > 0) return;
    await mtools('mrd', `::/${existing.path}`);
    tree.remove(name);
    return;
  } else if (random.below(3) > 0) {
    await mtools('mdel', `::/${existing.path}`);
    tree.remove(name);
    return;
  }
  if (isFull) return;
  await writeFile(source, content);
  await mtools('mcopy', '-o', source, `::/${name}`);
  tree.remove(name);
  tree.put(name, content);
}

function namesOf(tree: ExpectedTree): string[] {
  return tree.files().map((node) => node.path);
}

async function freeBytes(disk: string): Promise<number> {
  const file = await openBlockFile(disk);
  try {
    return (await openFat(new Overlay(file))).freeBytes;
  } finally {
    await file.close();
  }
}

/** Demands that davit and mtools both see what is expected, and that nothing is wrong with the file system. */
async function assertHolds(disk: FatDisk, tree: ExpectedTree, folder: string): Promise<void> {
  await assertClean(disk.path);
  const expected = tree.all().map((node) => (node.content === undefined ? `${node.path}/` : node.path));
  const { stdout } = await run('mdir', ['-/', '-b', '-a', '-i', disk.path, '::']);
  const listed = stdout.split('\n').flatMap((line) => (line.startsWith('::/') ? [line.slice(3)] : []));
  assert.deepEqual(listed.sort(), expected.sort(), 'what mtools lists');
  const read = await asMtoolsReads(disk.path, folder);
  for (const { path: name, content } of tree.files())
    assert.ok(content && read.get(name)?.equals(content), `mtools reads ${name}`);
  await rm(folder, { recursive: true });
  const file = await openBlockFile(disk.path);
  try {
    const fat = await openFat(new Overlay(file));
    assert.deepEqual((await listAll(fat, '')).sort(), expected.sort(), 'what davit lists');
    for (const { path: name, content } of tree.files())
      assert.deepEqual(await fat.read(name), content, `davit reads ${name}`);
  } finally {
    await file.close();
  }
}

async function listAll(fat: FatFileSystem, folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const { name, isFolder } of (await fat.list(folder)) ?? []) {
    if (isFolder) found.push(`${folder}${name}/`, ...(await listAll(fat, `${folder}${name}/`)));
    else found.push(folder + name);
  }
  return found;
}

describe('a FAT file system that davit and mtools write in turn', () => {
  for (const [index, options] of shapes.entries()) {
    const { bits, size = 0, clusterSectors, words = [] } = options;
    test(`holds what both wrote: FAT${bits}, ${size / kibibyte} KiB, ${clusterSectors ?? 'usual'} sectors ${words.join(' ')}`, async (t) => {
      const random = seededRandom(100 + index);
      const disk = await makeFatDisk(t, options);
      const folder = await temporaryFolder(t);
      const volume = await volumeFacts(disk.path);
      let tree = new ExpectedTree();
      let refusals = 0;
      for (let round = 0; round < rounds(6, 60); round += 1) {
        const before = await clustersByMtools(disk.path, namesOf(tree));
        const wanted = tree.copy();
        try {
          const placement = random.pick(['over', 'beside'] as const);
          const changes = await disk.change(async (fat) => {
            for (let step = 0; step < 12; step += 1) await changeByDavit(random, fat, wanted, volume);
          }, placement);
          const stayed = [...before].filter(([name]) => tree.get(name) === wanted.get(name));
          assertUntouched(changes, new Map(stayed), volume);
          tree = wanted;
        } catch (error) {
          if (!(error instanceof Refused)) throw error;
          refusals += 1;
        }
        await assertHolds(disk, tree, path.join(folder, 'by davit'));
        for (let step = 0; step < 3; step += 1)
          await changeByMtools(random, disk.path, tree, volume, path.join(folder, 'source'));
        await assertHolds(disk, tree, path.join(folder, 'by mtools'));
      }
      await assertClean(disk.path, ['-v']);
      t.diagnostic(`${tree.all().length} names in the end, ${refusals} batches refused`);
    });
  }
});
