import { createHash } from 'node:crypto';
import type { PlannedPartition } from './disk-layout.js';

/**
 * Moment that the image's file systems say they were made at, in seconds since 1970 (2025-01-01), so that the same recipe and
 * packages give the same image. https://reproducible-builds.org/docs/source-date-epoch/
 */
export const sourceDate = 1735689600;

/** Environment of the programs that make file systems, for times that do not depend on the clock. */
export const reproducible: Readonly<Record<string, string>> = {
  SOURCE_DATE_EPOCH: String(sourceDate),
  E2FSPROGS_FAKE_TIME: String(sourceDate),
};

/** The features are written out because their defaults differ between versions, and GRUB 2.06 does not read the newest. */
const features =
  'none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum';

/**
 * Options of `mke2fs` for a partition, without the file it writes to.
 *
 * @param seed anything that names the image, for identifiers that do not change from build to build
 * @param offset where the partition begins in that file, in bytes
 */
export function ext4Options(partition: PlannedPartition, seed: string, offset = 0): string[] {
  const uuid = stableUuid(`${seed} ${partition.name}`);
  return [
    ...[
      '-q',
      '-F',
      '-t',
      'ext4',
      '-b',
      '4096',
      '-O',
      features,
      '-J',
      'size=4',
      '-m',
      '1',
      '-L',
      partition.name,
      '-U',
      uuid,
    ],
    ...['-E', `hash_seed=${uuid},lazy_itable_init=1,lazy_journal_init=1,nodiscard,offset=${offset}`],
  ];
}

/** A UUID (version 8, of our own making) that is always the same for the same text. */
export function stableUuid(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  );
}
