import { chmod, cp, mkdir, mkdtemp, open, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { runChecked } from '../platform/child-process.js';
import { folders } from '../platform/environment.js';
import { ignoreProgress, type ProgressListener } from '../platform/progress.js';
import type { PlannedPartition } from './disk-layout.js';
import { ext4Options, reproducible, sourceDate } from './ext4.js';
import type { Recipe } from './recipe.js';

/** How a root file system is provided. */
export interface RootFileSystemOptions {
  /** Make it again although one of the same recipe is kept: Debian may have newer packages. */
  readonly ignoreKept: boolean;
  readonly signal?: AbortSignal;
  readonly progress?: ProgressListener;
}

/** A root file system, ready to be copied into an image. */
export interface RootFileSystem {
  /** An ext4 partition with everything installed. */
  readonly file: string;
  /** Whether it was made by an earlier build of the same recipe. */
  readonly kept: boolean;
}

/** Raised when the way root file systems are made changes, so that those kept from before are not used any more. */
const makingVersion = 1;

/** Provides the root file system of a recipe: the one kept in davit's cache, or a new one made of Debian packages. */
export async function provideRootFileSystem(
  recipe: Recipe,
  partition: PlannedPartition,
  options: RootFileSystemOptions,
): Promise<RootFileSystem> {
  const { signal, progress = ignoreProgress } = options;
  const cache = path.join(folders.cache(), 'os-build');
  const file = path.join(cache, `${recipe.deviceType}-${makingVersion}-${recipe.rootHash.slice(0, 32)}.ext4`);
  const step = { type: 'step', id: partition.name, phase: 'install' } as const;
  const found = await stat(file).catch(() => undefined);
  if (!options.ignoreKept && found?.size === partition.size) {
    progress({ ...step, state: 'done', detail: 'kept from an earlier build' });
    return { file, kept: true };
  }
  const work = await mkdtemp(path.join(folders.temporary(), 'davit-os-build-'));
  const beside = `${file}.${process.pid}`;
  try {
    await mkdir(cache, { recursive: true });
    const made = await install(recipe, partition, {
      work,
      onStage: (detail) => {
        progress({ ...step, state: 'active', detail });
      },
      ...(signal === undefined ? {} : { signal }),
    });
    await runChecked(`keeping the root file system in ${cache}`, 'cp', ['--sparse=always', made, beside], {
      ...(signal === undefined ? {} : { signal }),
    });
    await rename(beside, file);
  } catch (error) {
    progress({ ...step, state: 'failed' });
    await rm(beside, { force: true });
    throw error;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  progress({ ...step, state: 'done' });
  return { file, kept: false };
}

interface InstallOptions {
  readonly work: string;
  readonly onStage: (stage: string) => void;
  readonly signal?: AbortSignal;
}

/** Installs the recipe's packages and files into a partition file in the folder `work`. */
async function install(recipe: Recipe, partition: PlannedPartition, options: InstallOptions): Promise<string> {
  const { work, onStage, signal } = options;
  // Without root, mmdebstrap runs the hooks as another user, who must be able to read the recipe and write the partition.
  await chmod(work, 0o711);
  const copy = path.join(work, 'recipe');
  await cp(recipe.folder, copy, { recursive: true });
  await runChecked('copying the recipe', 'chmod', ['-R', 'u=rwX,go=rX', copy]);
  const made = path.join(work, 'root.ext4');
  const handle = await open(made, 'w');
  await handle.truncate(partition.size);
  await handle.chmod(0o666);
  await handle.close();

  const command = [
    '--variant=minbase',
    '--format=null',
    // The tree is thrown away when the partition is made of it.
    '--skip=cleanup',
    // Mirrors fail now and then; a build of minutes should not.
    '--aptopt=Acquire::Retries "5"',
    `--include=${recipe.packages.join(',')}`,
    `--dpkgopt=${path.join(copy, 'dpkg.conf')}`,
    '--customize-hook=cp -rT "$DAVIT_RECIPE/rootfs" "$1"',
    '--customize-hook=sh "$DAVIT_RECIPE/setup.sh" "$1"',
    `--customize-hook=${makePartition(partition, recipe.rootHash)}`,
    recipe.suite,
    '/dev/null',
  ];
  const lines: string[] = [];
  try {
    await runChecked(`installing the packages of ${recipe.folder}`, 'mmdebstrap', command, {
      environment: { ...reproducible, DAVIT_RECIPE: copy, DAVIT_PARTITION: made, TMPDIR: folders.temporary() },
      onLine: (line) => {
        lines.push(line);
        const stage = stageOf(line);
        if (stage !== undefined) onStage(stage);
      },
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (lines.some((line) => line.includes('while populating file system'))) {
      throw new Failure(
        'failed',
        'root-too-small',
        `${recipe.folder}: the root partition is too small for its packages`,
        {
          hint: 'Raise "partitionMiB.root" in recipe.json, or remove packages',
          cause: error,
        },
      );
    }
    throw error;
  }
  return made;
}

/**
 * The shell command that turns the installed tree into the partition. It works on a bind mount in a mount namespace of its
 * own, which shows the tree without the /proc and /sys that mmdebstrap mounts into it, and with an empty /tmp and /run. Nothing
 * is deleted from the tree: mmdebstrap's own configuration is in its /tmp, and without it apt would work on the host.
 */
function makePartition(partition: PlannedPartition, seed: string): string {
  const options = ext4Options(partition, seed).join(' ');
  const script = [
    'mount --bind "$1" "$1"',
    'mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"',
    'mount -t tmpfs -o mode=755 tmpfs "$1/run"',
    `find "$1" -xdev -newermt @${sourceDate} -exec touch --no-dereference --date=@${sourceDate} {} +`,
    `mke2fs ${options} -d "$1" "$DAVIT_PARTITION"`,
  ].join('\n');
  return `exec unshare --mount sh -ec '${script}' sh "$1"`;
}

/** What mmdebstrap is doing, from a line it prints, in words for a user; undefined for everything else it says. */
function stageOf(line: string): string | undefined {
  const [, doing] = /^I: (downloading|extracting|installing|running --customize-hook)/.exec(line) ?? [];
  return doing?.startsWith('running') === true ? 'setting up' : doing;
}
