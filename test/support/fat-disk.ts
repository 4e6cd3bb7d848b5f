import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { openBlockFile } from '../../src/lib/image/block-file.js';
import { FatFileSystem } from '../../src/lib/image/fat-file-system.js';
import type { FatPlacement } from '../../src/lib/image/fat-table.js';
import { applyChanges, type ChangedRanges, Overlay } from '../../src/lib/image/overlay.js';
import { run, runChecked } from '../../src/lib/platform/child-process.js';
import { temporaryFolder } from './temporary-folder.js';

const mebibyte = 1024 * 1024;

/** What a FAT file system is to be like; mkfs.vfat chooses what is left out. */
export interface FatOptions {
  readonly bits: 12 | 16 | 32;
  readonly size?: number;
  readonly clusterSectors?: number;
  /** Further words for mkfs.vfat. */
  readonly words?: readonly string[];
}

/** A file that holds a FAT file system and nothing else. */
export interface FatDisk {
  readonly path: string;
  /** Makes changes in an overlay, puts them into the file, stage by stage where they go beside the old, and gives them. */
  change(work: (fat: FatFileSystem) => Promise<void>, placement?: FatPlacement): Promise<ChangedRanges>;
}

/** Makes an empty FAT file system with mkfs.vfat. */
export async function makeFatDisk(t: Pick<TestContext, 'after'>, options: FatOptions): Promise<FatDisk> {
  const { bits, clusterSectors, words = [] } = options;
  const disk = path.join(await temporaryFolder(t), `fat${bits}.img`);
  const size = options.size ?? { 12: 2, 16: 16, 32: 40 }[bits] * mebibyte;
  await runChecked('making a file', 'truncate', ['-s', String(size), disk]);
  const cluster = clusterSectors === undefined ? [] : ['-s', String(clusterSectors)];
  await runChecked('making FAT', 'mkfs.vfat', ['-F', String(bits), '-n', 'TESTING', ...cluster, ...words, disk]);
  return { path: disk, change: (work, placement = 'over') => changeDisk(disk, work, placement) };
}

async function changeDisk(
  disk: string,
  work: (fat: FatFileSystem) => Promise<void>,
  placement: FatPlacement,
): Promise<ChangedRanges> {
  const file = await openBlockFile(disk, { writable: true });
  try {
    const overlay = new Overlay(file);
    await work(await openFat(overlay, placement));
    const { stages } = placement === 'over' ? { stages: [await overlay.changes()] } : await overlay.staged();
    for (const stage of stages) await applyChanges(file, stage);
    return stages.flat();
  } finally {
    await file.close();
  }
}

/** Opens what must be FAT. */
export async function openFat(overlay: Overlay, placement: FatPlacement = 'over'): Promise<FatFileSystem> {
  const fat = await FatFileSystem.open(overlay, { placement });
  assert.ok(fat);
  return fat;
}

/** Demands that fsck.fat finds nothing wrong. */
export async function assertClean(disk: string, words: readonly string[] = []): Promise<void> {
  const { exitCode, stdout } = await run('fsck.fat', ['-n', ...words, disk]);
  assert.equal(exitCode, 0, stdout);
  assert.doesNotMatch(stdout, /wrong|differ|bad|lost|dirty/i);
}

/** All files as mtools reads them, by path; they are written into a folder that is made. */
export async function asMtoolsReads(disk: string, folder: string): Promise<Map<string, Buffer>> {
  await mkdir(folder);
  await runChecked('copying out', 'mcopy', ['-s', '-n', '-i', disk, '::/*', folder]).catch((error: unknown) => {
    // mcopy counts an empty disk as a failure.
    if (!String(error).includes('not found')) throw error;
  });
  const { stdout } = await run('find', [folder, '-type', 'f', '-printf', '%P\\0']);
  const files = new Map<string, Buffer>();
  for (const name of stdout.split('\0').filter((one) => one !== '')) {
    files.set(name, await readFile(path.join(folder, name)));
  }
  return files;
}
