import { recogniseExt } from './ext-allocation.js';
import { recogniseFat } from './fat-allocation.js';
import type { ByteRange } from './partition-table.js';
import type { RangeParser } from './range-feed.js';
import { recogniseSquashfs } from './squashfs-allocation.js';
import { recogniseSwap } from './swap-allocation.js';

/** Why every byte of a partition matters. */
export type WhyAllUsed =
  /** Nothing that is known is in it. */
  | 'unknown'
  /** What is in it is known by name only. */
  | 'not-understood'
  /** It looks like more than one thing. */
  | 'ambiguous'
  /** It was not unmounted cleanly, has a journal to be replayed, or is marked as faulty. */
  | 'unclean'
  /** It holds the memory of a hibernated computer. */
  | 'hibernated'
  /** It is of a version, or uses a feature, that is not understood. */
  | 'features'
  /** It contradicts itself, or does not fit into its partition. */
  | 'damaged'
  /** Something follows it in its partition, such as hashes that protect it. */
  | 'followed'
  /** Another partition or the partition table lies in it. */
  | 'overlaps'
  /** What describes it has not been seen: the image ends before, or has not got that far. */
  | 'unseen';

/**
 * Finds the bytes that a file system does not use, in ascending order from the start of its partition, and returns why all are used where
 * that is so.
 */
export type UnusedFinder = (found: (range: ByteRange) => void) => RangeParser<WhyAllUsed | undefined>;

/** A file system, or something like one, recognised by the first bytes of its partition. */
export interface FileSystem {
  /** `fat16`, `ext4`, `squashfs`, …; what is known by its name only is called as blkid calls it. */
  readonly name: string;
  /** The ranges that it does not use, or why there are none, or what finds them. */
  readonly unused: readonly ByteRange[] | WhyAllUsed | UnusedFinder;
}

/**
 * Recognises one kind of file system.
 *
 * @param head the first bytes of the partition, `headSize` of them or all
 * @param size bytes of the partition
 */
export type Recogniser = (head: Buffer, size: number) => FileSystem | undefined;

/** Bytes that every recogniser can do with; the superblock of Btrfs is what lies furthest back. */
export const headSize = 68 * 1024;

const recognisers: readonly Recogniser[] = [
  recogniseFat,
  recogniseExt,
  recogniseSquashfs,
  recogniseSwap,
  ...(
    [
      ['crypto_LUKS', 0, 'LUKS\xba\xbe'],
      ['xfs', 0, 'XFSB'],
      ['btrfs', 0x10040, '_BHRfS_M'],
      ['f2fs', 1024, '\x10\x20\xf5\xf2'],
      ['erofs', 1024, '\xe2\xe1\xf5\xe0'],
      ['ntfs', 3, 'NTFS    '],
      ['exfat', 3, 'EXFAT   '],
      ['iso9660', 0x8001, 'CD001'],
      ['cramfs', 0, '\x45\x3d\xcd\x28'],
      ['romfs', 0, '-rom1fs-'],
      ['ubi', 0, 'UBI#'],
      ['linux_raid_member', 0, '\xfc\x4e\x2b\xa9'],
      ['linux_raid_member', 4096, '\xfc\x4e\x2b\xa9'],
      ['bcache', 4096 + 24, '\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81'],
      ...[0, 1, 2, 3].map((sector) => ['LVM2_member', sector * 512, 'LABELONE'] as const),
    ] as const
  ).map(([name, at, magic]) => recogniseByMagic(name, at, magic)),
];

/** Tells what a partition holds by its first bytes, or why that cannot be told. */
export function recogniseFileSystem(head: Buffer, size: number): FileSystem | WhyAllUsed {
  const [found, ...others] = recognisers.flatMap((recognise) => recognise(head, size) ?? []);
  if (found === undefined) return 'unknown';
  return others.length > 0 ? 'ambiguous' : found;
}

function recogniseByMagic(name: string, at: number, magic: string): Recogniser {
  return (head) =>
    head.toString('latin1', at, at + magic.length) === magic ? { name, unused: 'not-understood' } : undefined;
}
