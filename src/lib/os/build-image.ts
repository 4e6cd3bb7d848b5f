import { mkdtemp, open, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { type NeededProgram, requirePrograms, runChecked, type RunOptions } from '../platform/child-process.js';
import { folders } from '../platform/environment.js';
import { ignoreProgress, type ProgressListener } from '../platform/progress.js';
import { gatherBootFiles, writeBootPartition } from './boot-files.js';
import { alignment, type DiskLayout, partitionsOf, planLayout } from './disk-layout.js';
import { ext4Options, reproducible, stableUuid } from './ext4.js';
import { type Recipe, readRecipe } from './recipe.js';
import { provideRootFileSystem } from './root-file-system.js';

/** What to build, and where it goes. */
export interface BuildPlan {
  readonly recipe: Recipe;
  readonly layout: DiskLayout;
  /** Absolute path of the image file. */
  readonly output: string;
}

/** How a plan is carried out. */
export interface BuildOptions {
  /** Install the packages anew although an earlier build of the same recipe is kept. */
  readonly ignoreKept: boolean;
  readonly signal?: AbortSignal;
  readonly progress?: ProgressListener;
}

/** A finished image. */
export interface BuiltImage {
  readonly image: string;
  readonly deviceType: string;
  /** Bytes of the image, and bytes of disk that it really takes. */
  readonly size: number;
  readonly allocated: number;
  /** Whether the root file system came from an earlier build. */
  readonly rootFileSystemKept: boolean;
}

const neededPrograms: readonly NeededProgram[] = [
  { program: 'mmdebstrap', debianPackage: 'mmdebstrap' },
  { program: 'mke2fs', debianPackage: 'e2fsprogs' },
  { program: 'mkfs.vfat', debianPackage: 'dosfstools' },
  { program: 'mcopy', debianPackage: 'mtools' },
  { program: 'sgdisk', debianPackage: 'gdisk' },
  { program: 'grub-mkimage', debianPackage: 'grub-efi-amd64-bin' },
];

/** mmdebstrap needs it to map user ids when it does not run as root. */
const userMapper: NeededProgram = { program: 'newuidmap', debianPackage: 'uidmap' };

/** Reads the recipe and decides where everything goes; changes nothing. */
export async function planBuild(recipeName: string, output: string): Promise<BuildPlan> {
  const recipe = await readRecipe(recipeName);
  const target = path.resolve(output);
  const found = await stat(target).catch(() => undefined);
  if (found !== undefined && !found.isFile()) {
    throw new Failure('usage', 'output-not-a-file', `${output} exists and is not a file`, {
      hint: 'Give the name of an image file; to write a drive, build the image and run davit flash',
    });
  }
  return { recipe, layout: planLayout(recipe.partitionMiB), output: target };
}

/**
 * Builds the image of a plan: a UEFI-bootable GPT disk with the five partitions of balenaOS. Nothing is mounted on the
 * building computer. The image appears under its name when it is complete and on the disk, or not at all.
 */
export async function buildImage(plan: BuildPlan, options: BuildOptions): Promise<BuiltImage> {
  const { recipe, layout, output } = plan;
  const { signal, progress = ignoreProgress } = options;
  const isRoot = process.getuid?.() === 0;
  await requirePrograms(`building ${recipe.deviceType}`, isRoot ? neededPrograms : [...neededPrograms, userMapper]);
  const root = await provideRootFileSystem(recipe, layout.rootA, options);

  const work = await mkdtemp(path.join(folders.temporary(), 'davit-os-build-'));
  const unfinished = path.join(path.dirname(output), `.${path.basename(output)}.${process.pid}`);
  const step = { type: 'step', id: path.basename(output), phase: 'assemble' } as const;
  try {
    progress({ ...step, state: 'active' });
    await createSparse(unfinished, layout.size);
    await assemble(plan, unfinished, { rootFile: root.file, work, run: signal === undefined ? {} : { signal } });
    await flush(unfinished);
    await rename(unfinished, output);
  } catch (error) {
    progress({ ...step, state: 'failed' });
    throw error;
  } finally {
    await rm(unfinished, { force: true });
    await rm(work, { recursive: true, force: true });
  }
  const { blocks } = await stat(output);
  progress({ ...step, state: 'done' });
  return {
    image: output,
    deviceType: recipe.deviceType,
    size: layout.size,
    allocated: blocks * 512,
    rootFileSystemKept: root.kept,
  };
}

interface Assembly {
  readonly rootFile: string;
  readonly work: string;
  readonly run: RunOptions;
}

async function assemble(plan: BuildPlan, image: string, { rootFile, work, run }: Assembly): Promise<void> {
  const { recipe, layout } = plan;
  const seed = recipe.rootHash;
  await runChecked('writing the partition table', 'sgdisk', partitionTableOptions(layout, seed, image), run);

  const bootFolder = path.join(work, 'boot');
  await gatherBootFiles(recipe, bootFolder, run);
  await writeBootPartition(image, layout.boot, bootFolder, { ...run, seed });

  await runChecked(
    'copying the root file system',
    'dd',
    [
      `if=${rootFile}`,
      `of=${image}`,
      'bs=64K',
      `seek=${layout.rootA.offset / 65536}`,
      'conv=notrunc,sparse',
      'status=none',
    ],
    run,
  );
  for (const partition of [layout.rootB, layout.state, layout.data]) {
    await runChecked(
      `making ${partition.name}`,
      'mke2fs',
      [...ext4Options(partition, seed, partition.offset), image, `${partition.size / 1024}k`],
      { ...run, environment: reproducible },
    );
  }
}

function partitionTableOptions(layout: DiskLayout, seed: string, image: string): string[] {
  const options = ['--clear', `--set-alignment=${alignment / 512}`, `--disk-guid=${stableUuid(`${seed} disk`)}`];
  for (const { number, name, fileSystem, offset, size } of partitionsOf(layout)) {
    const first = offset / 512;
    options.push(
      `--new=${number}:${first}:${first + size / 512 - 1}`,
      // The ESP type on the boot partition is what parted's "boot" flag means on GPT.
      `--typecode=${number}:${fileSystem === 'vfat' ? 'EF00' : '8300'}`,
      `--change-name=${number}:${name}`,
      `--partition-guid=${number}:${stableUuid(`${seed} partition ${name}`)}`,
    );
  }
  return [...options, image];
}

async function createSparse(file: string, size: number): Promise<void> {
  try {
    const handle = await open(file, 'wx');
    await handle.truncate(size).finally(() => handle.close());
  } catch (error) {
    throw whileDoing(`creating ${file}`, error);
  }
}

async function flush(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.sync();
  } catch (error) {
    throw whileDoing(`writing ${file}`, error);
  } finally {
    await handle.close();
  }
}
