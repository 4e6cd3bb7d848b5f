import { chmod, cp, mkdir, mkdtemp, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { run, runChecked } from '../platform/child-process.js';
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
  await writeFile(made, '');
  await truncate(made, partition.size);
  await chmod(made, 0o666);

  const script = path.join(work, 'make-partition.sh');
  await writeFile(script, makePartition(partition, recipe.rootHash));

  const command = [
    '--variant=minbase',
    '--format=null',
    // The tree is thrown away when the partition is made of it.
    '--skip=cleanup',
    // Mirrors fail now and then; a build of minutes should not.
    '--aptopt=Acquire::Retries "5"',
    `--include=${recipe.packages.join(',')}`,
    `--dpkgopt=${path.join(copy, 'dpkg.conf')}`,
    '--customize-hook=cp -rT "$DAVIT_WORK/recipe/rootfs" "$1"',
    '--customize-hook=sh "$DAVIT_WORK/recipe/setup.sh" "$1"',
    '--customize-hook=unshare --mount sh "$DAVIT_WORK/make-partition.sh" "$1"',
    recipe.suite,
    '/dev/null',
  ];
  const complaints: string[] = [];
  const { exitCode } = await run('mmdebstrap', command, {
    // The hooks may not be allowed to enter the folder that davit was started in.
    cwd: work,
    environment: { ...reproducible, DAVIT_WORK: work, TMPDIR: folders.temporary() },
    onLine: (line) => {
      const stage = stageOf(line);
      if (stage !== undefined) onStage(stage);
      else if (!/^[IW]: /.test(line)) complaints.push(line);
    },
    ...(signal === undefined ? {} : { signal }),
  });
  if (exitCode === 0) return made;
  if (complaints.some((line) => line.includes('while populating file system'))) {
    const message = `${recipe.folder}: the root partition is too small for its packages`;
    const hint = 'Raise "partitionMiB.root" in recipe.json, or remove packages';
    throw new Failure('failed', 'root-too-small', message, { hint });
  }
  const said = complaints.slice(-8).map((line) => `\n  ${line.slice(0, 300)}`);
  throw new Failure('failed', 'install-failed', `installing the packages of ${recipe.folder} failed:${said.join('')}`, {
    hint: 'Check the network, and packages.txt and setup.sh of the recipe',
  });
}

/**
 * The shell script that turns the installed tree into the partition. It works on a bind mount in a mount namespace of its
 * own, which shows the tree without the /proc and /sys that mmdebstrap mounts into it, and with an empty /tmp and /run. Nothing
 * is deleted from the tree: mmdebstrap's own configuration is in its /tmp, and without it apt would work on the host.
 */
function makePartition(partition: PlannedPartition, seed: string): string {
  return `set -eu
mount --bind "$1" "$1"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
mount -t tmpfs -o mode=755 tmpfs "$1/run"
find "$1" -xdev -newermt @${sourceDate} -exec touch --no-dereference --date=@${sourceDate} {} +
mke2fs ${ext4Options(partition, seed).join(' ')} -d "$1" "$DAVIT_WORK/root.ext4"
`;
}

/** What mmdebstrap is doing, from a line it prints, in words for a user; undefined for everything else it says. */
function stageOf(line: string): string | undefined {
  const [, doing] = /^I: (downloading|extracting|installing|running --customize-hook)/.exec(line) ?? [];
  return doing?.startsWith('running') === true ? 'setting up' : doing;
}
