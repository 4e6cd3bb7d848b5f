import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { TestContext } from 'node:test';
import type { FatFileSystem } from '../../src/lib/image/fat-file-system.js';
import { rounds } from './campaign.js';
import { assertClean, type FatDisk, type FatOptions, makeFatDisk } from './fat-disk.js';
import { checked } from './loop-device.js';
import { type SeededRandom, seededRandom } from './seeded-random.js';
import { temporaryFolder } from './temporary-folder.js';

const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;

/** File systems of all kinds, among them those that mtools refuses: FAT32 with few clusters. */
const shapes: readonly FatOptions[] = [
  { bits: 12, size: 2 * mebibyte, clusterSectors: 1 },
  { bits: 12, size: 3 * mebibyte, clusterSectors: 64, words: ['-f', '1'] },
  { bits: 16, size: 16 * mebibyte, clusterSectors: 4 },
  { bits: 16, size: 20 * mebibyte, clusterSectors: 1, words: ['-S', '4096'] },
  { bits: 32, size: 3 * mebibyte, clusterSectors: 1 },
  { bits: 32, size: 40 * mebibyte, clusterSectors: 1 },
  { bits: 32, size: 8 * mebibyte, clusterSectors: 128, words: ['-R', '9'] },
];

/** Names that implementations of FAT treat each in its own way. */
const names = [
  ...[
    'config.json',
    'README.TXT',
    'home',
    'UPPER',
    'Mixed.Case',
    'B.C',
    '.hidden',
    'a..b',
    ' lead',
    'name with spaces',
  ],
  ...[
    'Zürich-Wlan',
    'BÜRO',
    'büro.txt',
    'Ä',
    '日本語の名前',
    '😀',
    '😀'.repeat(20),
    'exactly-13-ch',
    'exactly-26-characters-long',
  ],
  ...[
    '+,;=[]',
    '~1',
    "it's",
    '$HOME `x`',
    '%41',
    'n'.repeat(255),
    'config.jsonx',
    'config.jsony',
    'config.jsonz',
    'lower.TXT',
  ],
];

const folders = ['', 'system-connections/', 'splash/', 'a/deeper folder/of three/', 'Größe/'];

type Tree = Map<string, Buffer>;

/** Runs a shell script on a computer whose kernel has FAT, with something for its standard input; gives its standard output. */
export type RunThere = (script: string, input: Uint8Array) => Promise<string>;

/** Has davit and a Linux kernel write to file systems in turn, and demands that each reads what the other wrote. */
export async function writeFatInTurn(t: TestContext, runThere: RunThere): Promise<void> {
  const folder = await temporaryFolder(t);
  const disks: { readonly disk: FatDisk; readonly tree: Tree; readonly random: SeededRandom }[] = [];
  for (const [index, options] of shapes.entries()) {
    const disk = await makeFatDisk(t, options);
    disks.push({ disk, tree: new Map<string, Buffer>(), random: seededRandom(500 + index) });
  }
  for (let round = 0; round < rounds(2, 6); round += 1) {
    for (const { disk, tree, random } of disks) {
      await disk.change((fat) => writeByDavit(fat, tree, random));
      await assertClean(disk.path);
    }
    const there = path.join(folder, String(round));
    await mkdir(there);
    const scripts: string[] = [];
    const read: Tree[] = [];
    for (const [index, { disk, tree, random }] of disks.entries()) {
      await checked(['cp', '--sparse=always', disk.path, path.join(there, `${index}.img`)]);
      read.push(new Map(tree));
      scripts.push(await scriptFor(index, tree, random, there));
    }
    await writeFile(path.join(there, 'run'), ['set -e', 'cd "$(dirname "$0")"', ...scripts].join('\n'));
    const pack = path.join(folder, 'pack');
    await checked(['tar', '-czSf', pack, '-C', folder, String(round)]);
    const said = await runThere(
      `cd /tmp && tar -xzf - && sh ${round}/run >said 2>&1 || { cat said >&2; exit 1; }; mv said ${round}/said && tar -czSf - ${round} | base64; rm -r ${round}`,
      await readFile(pack),
    );
    await writeFile(pack, Buffer.from(said, 'base64'));
    await checked(['tar', '-xzSf', pack, '-C', folder]);
    const listings = (await readFile(path.join(there, 'said'), 'utf8')).split('=====\n').slice(1);
    for (const [index, { disk, tree }] of disks.entries()) {
      assert.deepEqual(
        listed(listings[index] ?? ''),
        digests(read[index] ?? new Map<string, Buffer>()),
        `what the kernel reads on ${index}`,
      );
      await checked(['cp', '--sparse=always', path.join(there, `${index}.img`), disk.path]);
      await assertClean(disk.path);
      await disk.change(async (fat) => {
        assert.deepEqual(digests(await readAll(fat, '')), digests(tree), `what davit reads on ${index}`);
      });
    }
  }
}

async function writeByDavit(fat: FatFileSystem, tree: Tree, random: SeededRandom): Promise<void> {
  for (let step = 0; step < 40; step += 1) {
    const name = random.pick(folders) + random.pick(names);
    if (random.below(4) === 0) {
      assert.equal(await fat.remove(name), tree.delete(name), name);
    } else {
      const content = random.bytes(random.pick([0, 1, 511, 513, 4096, 9000]));
      await fat.write(name, content);
      tree.set(name, content);
    }
  }
}

/** A script that mounts one file system, lists what is there, and then changes some of it. */
async function scriptFor(index: number, tree: Tree, random: SeededRandom, folder: string): Promise<string> {
  const quoted = (name: string) => `'m/${name.replaceAll("'", "'\\''")}'`;
  const lines: string[] = [];
  for (let step = 0; step < 25; step += 1) {
    const name = random.pick(folders) + random.pick(names);
    if (tree.has(name) && random.below(3) === 0) {
      lines.push(`rm ${quoted(name)}`);
      tree.delete(name);
      continue;
    }
    const content = random.bytes(random.pick([0, 1, 700, 5000, 20_000]));
    const source = `${index}-${step}`;
    await writeFile(path.join(folder, source), content);
    lines.push(`mkdir -p ${quoted(path.posix.dirname(name))}`, `cat ${source} >${quoted(name)}`);
    tree.set(name, content);
  }
  return [
    `mkdir m; mount -t vfat -o loop,utf8 ${index}.img m`,
    'echo =====; (cd m && find . -type f -exec sha256sum --zero {} + | tr "\\0" "\\n")',
    ...lines,
    'umount m; rmdir m',
  ].join('\n');
}

function listed(text: string): string[] {
  return text
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [`${line.slice(68)} ${line.slice(0, 64)}`]))
    .sort();
}

function digests(tree: Tree): string[] {
  return [...tree].map(([name, content]) => `${name} ${createHash('sha256').update(content).digest('hex')}`).sort();
}

async function readAll(fat: FatFileSystem, folder: string): Promise<Tree> {
  const found: Tree = new Map();
  for (const { name, isFolder } of (await fat.list(folder)) ?? []) {
    if (isFolder) for (const entry of await readAll(fat, `${folder}${name}/`)) found.set(...entry);
    else found.set(folder + name, (await fat.read(folder + name)) ?? Buffer.from('unreadable'));
  }
  return found;
}
