import type { WhyAllUsed } from './file-systems.js';

/** Where the superblock lies in an ext file system, and its size. */
export const superblockAt = 1024;
export const superblockSize = 1024;

/** What of an ext2, ext3 or ext4 superblock tells where its bitmaps are (linux/Documentation/filesystems/ext4/super.rst). */
export interface ExtSuperblock {
  readonly blockSize: number;
  /** Blocks for which one bit of a bitmap stands: 1 without bigalloc. */
  readonly clusterBlocks: number;
  readonly blockCount: number;
  /** 1 with blocks of 1 kB and without bigalloc, else 0. */
  readonly firstBlock: number;
  readonly blocksPerGroup: number;
  readonly groupCount: number;
  readonly inodeTableBlocks: number;
  readonly descriptorSize: number;
  readonly reservedDescriptorBlocks: number;
  /** Meta block group from which on descriptors lie in their groups; Infinity when all lie at the start. */
  readonly firstMetaGroup: number;
  /** Whether groups may be marked as never used, with no bitmap on disk. */
  readonly mayLackBitmaps: boolean;
  /** Whether a copy of the superblock and of the descriptors is kept at the start of a group. */
  readonly hasBackup: (group: number) => boolean;
}

/** What mke2fs allows at least; fewer would only make its table of groups absurdly large. */
const fewestBlocksPerGroup = 256;

const magic = 0xef53;
const compat = { journal: 0x4, sparseSuper2: 0x200 };
const incompat = { recover: 0x4, journalDevice: 0x8, metaGroups: 0x10, wide: 0x80 };
const readOnlyCompat = { sparseSuper: 0x1, descriptorChecksums: 0x10, bigalloc: 0x200, metadataChecksums: 0x400 };

/** Features that ext3 and ext2 know: filetype, recover, journal_dev and meta_bg; sparse_super, large_file and btree_dir. */
const incompatOfExt3 = 0x2 | 0x4 | 0x8 | 0x10;
const readOnlyCompatOfExt3 = 0x1 | 0x2 | 0x4;

/**
 * Features that do not change what a bitmap means: filetype, meta_bg, extents, 64bit, mmp, flex_bg, ea_inode, csum_seed, largedir,
 * inline_data, encrypt, casefold. Missing on purpose: compression, recover (a journal to be replayed), journal_dev, dirdata.
 */
const understoodIncompat =
  0x2 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000;

/**
 * Likewise: sparse_super, large_file, huge_file, gdt_csum, dir_nlink, extra_isize, quota, bigalloc, metadata_csum, readonly, project,
 * verity, orphan_present. Missing on purpose: has_snapshot, replica, shared_blocks.
 */
const understoodReadOnlyCompat =
  0x1 | 0x2 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100 | 0x200 | 0x400 | 0x1000 | 0x2000 | 0x8000 | 0x10000;

/** The name of the ext file system that has this superblock, or undefined when it is none. */
export function extName(bytes: Buffer): string | undefined {
  if (bytes.length < superblockSize || bytes.readUInt16LE(0x38) !== magic) return undefined;
  const features = featuresOf(bytes);
  if ((features.incompat & incompat.journalDevice) !== 0) return 'jbd';
  if ((features.incompat & ~incompatOfExt3) !== 0 || (features.readOnlyCompat & ~readOnlyCompatOfExt3) !== 0) {
    return 'ext4';
  }
  return (features.compat & compat.journal) === 0 ? 'ext2' : 'ext3';
}

/** Reads the superblock of an ext file system, or says why its bitmaps cannot be trusted. */
export function parseExtSuperblock(bytes: Buffer): ExtSuperblock | WhyAllUsed {
  const u16 = (at: number) => bytes.readUInt16LE(at);
  const u32 = (at: number) => bytes.readUInt32LE(at);
  const cleanlyUnmounted = 1;
  const dynamicRevision = 1;
  const features = featuresOf(bytes);
  if (u16(0x3a) !== cleanlyUnmounted || (features.incompat & incompat.recover) !== 0) return 'unclean';
  if ((features.incompat & ~understoodIncompat) !== 0 || u32(0x4c) !== dynamicRevision) return 'features';
  if ((features.readOnlyCompat & ~understoodReadOnlyCompat) !== 0) return 'features';

  const isWide = (features.incompat & incompat.wide) !== 0;
  const hasClusters = (features.readOnlyCompat & readOnlyCompat.bigalloc) !== 0;
  const blockSize = 1024 << u32(0x18);
  const clusterBlocks = hasClusters ? 2 ** (u32(0x1c) - u32(0x18)) : 1;
  const blockCount = u32(0x4) + (isWide ? u32(0x150) * 2 ** 32 : 0);
  const firstBlock = u32(0x14);
  const blocksPerGroup = u32(0x20);
  const clustersPerGroup = blocksPerGroup / clusterBlocks;
  const inodesPerGroup = u32(0x28);
  const descriptorSize = isWide ? u16(0xfe) : 32;
  if (u32(0x18) > 6 || firstBlock > 1 || clusterBlocks < 1 || (hasClusters && u32(0x24) !== clustersPerGroup)) {
    return 'damaged';
  }
  if (blocksPerGroup < fewestBlocksPerGroup || clustersPerGroup > blockSize * 8) return 'damaged';
  if (descriptorSize < (isWide ? 64 : 32) || descriptorSize > blockSize || blockCount <= firstBlock) return 'damaged';

  const hasMetaGroups = (features.incompat & incompat.metaGroups) !== 0;
  const checksums = readOnlyCompat.descriptorChecksums | readOnlyCompat.metadataChecksums;
  return {
    blockSize,
    clusterBlocks,
    blockCount,
    firstBlock,
    blocksPerGroup,
    groupCount: Math.ceil((blockCount - firstBlock) / blocksPerGroup),
    inodeTableBlocks: Math.ceil((inodesPerGroup * u16(0x58)) / blockSize),
    descriptorSize,
    reservedDescriptorBlocks: u16(0xce),
    firstMetaGroup: hasMetaGroups ? u32(0x104) : Number.POSITIVE_INFINITY,
    mayLackBitmaps: (features.readOnlyCompat & checksums) !== 0,
    hasBackup: backupRule(features, [u32(0x24c), u32(0x250)]),
  };
}

interface Features {
  readonly compat: number;
  readonly incompat: number;
  readonly readOnlyCompat: number;
}

function featuresOf(bytes: Buffer): Features {
  return {
    compat: bytes.readUInt32LE(0x5c),
    incompat: bytes.readUInt32LE(0x60),
    readOnlyCompat: bytes.readUInt32LE(0x64),
  };
}

function backupRule(features: Features, listed: readonly number[]): (group: number) => boolean {
  if ((features.compat & compat.sparseSuper2) !== 0) return (group) => group === 0 || listed.includes(group);
  if ((features.readOnlyCompat & readOnlyCompat.sparseSuper) === 0) return () => true;
  return (group) => group <= 1 || [3, 5, 7].some((base) => isPowerOf(base, group));
}

function isPowerOf(base: number, value: number): boolean {
  let power = base;
  while (power < value) power *= base;
  return power === value;
}
