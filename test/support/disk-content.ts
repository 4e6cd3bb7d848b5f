import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runProgram } from './davit.js';
import { checked } from './loop-device.js';
import type { OsImage, OsImagePartition } from './os-image.js';

/** What a partition holds, as the tools of its file system see it. */
export interface PartitionContent {
  /** Exit code of e2fsck or fsck.fat, which change nothing; 0 is a clean file system. */
  readonly problems: number;
  /** SHA-256 of each file. */
  readonly files: Readonly<Record<string, string>>;
}

/** Checks the file system of a partition of an image or card and reads all its files, without mounting it. */
export async function partitionContent(disk: string, partition: OsImagePartition): Promise<PartitionContent> {
  const work = await mkdtemp(path.join(tmpdir(), 'davit-content-'));
  try {
    const file = path.join(work, 'partition');
    const tree = path.join(work, 'tree');
    await mkdir(tree);
    const range = [`skip=${partition.start}`, `count=${partition.size}`, 'iflag=skip_bytes,count_bytes'];
    await checked(['dd', `if=${disk}`, `of=${file}`, 'bs=4M', 'status=none', ...range]);
    const isFat = (await readFile(file)).subarray(82, 90).toString().startsWith('FAT') || partition.number === 1;
    const check = isFat ? ['fsck.fat', '-n', file] : ['e2fsck', '-fn', file];
    const problems = (await runProgram(check)).exitCode ?? -1;
    if (isFat) await checked(['mcopy', '-s', '-n', '-i', file, '::', tree]);
    else await checked(['debugfs', '-R', `rdump / ${tree}`, file]);
    return { problems, files: await hashesOfFiles(tree) };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The SHA-256 of every file in a folder, by its path from there. */
export async function hashesOfFiles(tree: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(tree, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    found[path.relative(tree, file)] = createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
  }
  return found;
}

/** Bytes of a file or drive. */
export async function bytesAt(disk: string, start: number, size: number): Promise<Buffer> {
  const handle = await open(disk, 'r');
  try {
    const buffer = Buffer.alloc(size);
    await handle.read(buffer, 0, size, start);
    return buffer;
  } finally {
    await handle.close();
  }
}

/** Whether neither the first nor the last MiB of a card holds anything: no boot loader, no table, no copy of one. */
export async function hasNoTable(disk: string, size: number): Promise<boolean> {
  const mebibyte = 1024 * 1024;
  const ends = [await bytesAt(disk, 0, mebibyte), await bytesAt(disk, size - mebibyte, mebibyte)];
  return ends.every((bytes) => bytes.equals(Buffer.alloc(mebibyte)));
}

/**
 * Demands that every file system is clean, that every file is the image's, and that everything before the first partition is, on a card
 * whose free space may still hold what was there before.
 */
export async function assertHoldsImage(disk: string, image: OsImage): Promise<void> {
  for (const partition of image.partitions) {
    const [expected, actual] = await Promise.all([
      partitionContent(image.path, partition),
      partitionContent(disk, partition),
    ]);
    assert.deepEqual(actual, { ...expected, problems: 0 }, `partition ${partition.number}`);
  }
  const boot = image.partitions[0]?.start ?? 0;
  assert.ok(
    (await bytesAt(disk, 0, boot)).equals(await bytesAt(image.path, 0, boot)),
    'everything before the partitions',
  );
}
