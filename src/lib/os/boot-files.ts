import { access, cp, mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { runChecked, type RunOptions } from '../platform/child-process.js';
import type { PlannedPartition } from './disk-layout.js';
import { reproducible, sourceDate, stableUuid } from './ext4.js';
import type { Recipe } from './recipe.js';

/** What GRUB needs built in to find its configuration and to start a kernel from the root partition. */
const grubModules = [
  'part_gpt',
  'part_msdos',
  'fat',
  'ext2',
  'search',
  'search_label',
  'linux',
  'normal',
  'boot',
  'echo',
  'test',
  'configfile',
  'serial',
  'terminal',
];

/** Gathers what goes into the boot partition of a recipe in `folder`, which must not exist. */
export async function gatherBootFiles(recipe: Recipe, folder: string, options: RunOptions = {}): Promise<void> {
  await cp(path.join(recipe.folder, 'boot'), folder, { recursive: true });
  const efi = path.join(folder, 'EFI', 'BOOT');
  await mkdir(efi, { recursive: true });
  await cp(path.join(recipe.folder, 'grub.cfg'), path.join(efi, 'grub.cfg'));
  // The recipe may have an os-release for the boot partition alone; balenaOS has the same one in both places.
  const osRelease = path.join(folder, 'os-release');
  const isGiven = await access(osRelease).then(
    () => true,
    () => false,
  );
  if (!isGiven) await cp(path.join(recipe.folder, 'rootfs', 'etc', 'os-release'), osRelease);
  await runChecked(
    'making the boot loader',
    'grub-mkimage',
    ['--format=x86_64-efi', '--prefix=/EFI/BOOT', `--output=${path.join(efi, 'bootx64.efi')}`, ...grubModules],
    options,
  );
}

/** Makes the FAT file system of the boot partition inside the image file, in place, and puts a folder's files into it. */
export async function writeBootPartition(
  image: string,
  partition: PlannedPartition,
  folder: string,
  options: RunOptions & { readonly seed: string },
): Promise<void> {
  const { seed, ...rest } = options;
  // Without a UTF-8 locale, mcopy replaces letters that are not ASCII.
  const environment = { ...reproducible, MTOOLS_SKIP_CHECK: '1', LC_ALL: 'C.UTF-8' };
  const runOptions: RunOptions = { ...rest, environment };
  // What mkfs.vfat would choose for a partition of this size, were it not shown a whole disk.
  const fatBits = partition.size < 512 * 1024 * 1024 ? '16' : '32';
  const volumeId = stableUuid(`${seed} ${partition.name}`).slice(0, 8);
  await runChecked(
    `making ${partition.name}`,
    'mkfs.vfat',
    [
      ...[
        '--invariant',
        '-n',
        partition.name,
        '-i',
        volumeId,
        '-F',
        fatBits,
        '-S',
        '512',
        '--offset',
        String(partition.offset / 512),
      ],
      ...[image, String(partition.size / 1024)],
    ],
    runOptions,
  );
  const entries = (await readdir(folder)).sort().map((name) => path.join(folder, name));
  await runChecked(
    'dating the boot files',
    'find',
    [folder, '-exec', 'touch', `--date=@${sourceDate}`, '{}', '+'],
    rest,
  );
  await runChecked(
    `filling ${partition.name}`,
    'mcopy',
    ['-s', '-m', '-Q', '-i', `${image}@@${partition.offset}`, ...entries, '::/'],
    runOptions,
  );
}
