import { extName, type ExtSuperblock, parseExtSuperblock, superblockAt, superblockSize } from './ext-superblock.js';
import type { Recogniser, UnusedFinder } from './file-systems.js';
import type { ByteRange } from './partition-table.js';

/** One block group as its descriptor tells it; positions in blocks. */
interface Group {
  readonly number: number;
  readonly firstBlock: number;
  readonly blocks: number;
  readonly bitmapAt: number;
  /** Blocks of the bitmaps and of the inode table, wherever in the file system they lie. */
  readonly metadata: readonly ByteRange[];
  readonly freeClusters: number;
  /** Whether it was never used, so that there is no bitmap on disk. */
  readonly lacksBitmap: boolean;
}

/**
 * An ext2, ext3 or ext4 file system: what its bitmaps call free is unused. In groups that contradict themselves, or whose bitmap cannot be
 * had, everything is used.
 */
export const recogniseExt: Recogniser = (head, size) => {
  const bytes = head.subarray(superblockAt, superblockAt + superblockSize);
  const name = extName(bytes);
  if (name === undefined) return undefined;
  const superblock = parseExtSuperblock(bytes);
  if (typeof superblock === 'string') return { name, unused: superblock };
  const fits = superblock.blockCount * superblock.blockSize <= size;
  return { name, unused: fits ? freeBlocks(superblock) : 'damaged' };
};

function freeBlocks(superblock: ExtSuperblock): UnusedFinder {
  const { blockSize, clusterBlocks } = superblock;
  const inBytes = ({ start, size }: ByteRange): ByteRange => ({ start: start * blockSize, size: size * blockSize });
  return function* (found) {
    let metadata: readonly ByteRange[] = [];
    for (const descriptors of descriptorRanges(superblock)) {
      const table = yield inBytes(descriptors);
      if (table === undefined) return 'unseen';
      const groups = parseDescriptors(superblock, table, descriptors.firstGroup);
      metadata = [...metadata, ...groups.flatMap((group) => group.metadata)].sort((a, b) => a.start - b.start);
      for (const group of groups) {
        const free = group.lacksBitmap
          ? freeInUnusedGroup(superblock, group, metadata)
          : freeInBitmap(group, clusterBlocks, yield inBytes({ start: group.bitmapAt, size: 1 }));
        // The descriptor counts as well. Where the two disagree something is not understood, and all of the group matters.
        const clusters = free.reduce((sum, range) => sum + Math.ceil(range.size / clusterBlocks), 0);
        if (clusters === group.freeClusters) for (const range of free) found(inBytes(range));
      }
    }
    return undefined;
  };
}

interface DescriptorRange extends ByteRange {
  readonly firstGroup: number;
}

/** Where group descriptors lie: in one table after the superblock, and for meta block groups one block in each. */
function* descriptorRanges(superblock: ExtSuperblock): Generator<DescriptorRange> {
  const { blockSize, descriptorSize, groupCount, firstBlock, blocksPerGroup, firstMetaGroup } = superblock;
  const perBlock = Math.floor(blockSize / descriptorSize);
  const blocks = Math.ceil(groupCount / perBlock);
  const inTable = Math.min(blocks, firstMetaGroup);
  if (inTable > 0) yield { start: primaryBlock(superblock) + 1, size: inTable, firstGroup: 0 };
  for (let meta = inTable; meta < blocks; meta += 1) {
    const firstGroup = meta * perBlock;
    const groupStart = firstGroup === 0 ? primaryBlock(superblock) : firstBlock + firstGroup * blocksPerGroup;
    yield { start: groupStart + (superblock.hasBackup(firstGroup) ? 1 : 0), size: 1, firstGroup };
  }
}

/** The block that holds the superblock: with bigalloc, block 0 of 1 kB belongs to the first group although nothing is in it. */
function primaryBlock({ blockSize }: ExtSuperblock): number {
  return blockSize === superblockAt ? 1 : 0;
}

function parseDescriptors(superblock: ExtSuperblock, table: Buffer, firstGroup: number): Group[] {
  const { descriptorSize, groupCount, firstBlock, blocksPerGroup, blockCount, inodeTableBlocks } = superblock;
  const count = Math.min(Math.floor(table.length / descriptorSize), groupCount - firstGroup);
  const lacksBitmapFlag = 0x2;
  return Array.from({ length: count }, (_, index) => {
    const descriptor = table.subarray(index * descriptorSize, (index + 1) * descriptorSize);
    const isWide = descriptorSize >= 64;
    const block = (low: number, high: number) =>
      descriptor.readUInt32LE(low) + (isWide ? descriptor.readUInt32LE(high) * 2 ** 32 : 0);
    const number = firstGroup + index;
    const start = firstBlock + number * blocksPerGroup;
    const bitmapAt = block(0x0, 0x20);
    return {
      number,
      firstBlock: start,
      blocks: Math.min(blocksPerGroup, blockCount - start),
      bitmapAt,
      metadata: [
        { start: bitmapAt, size: 1 },
        { start: block(0x4, 0x24), size: 1 },
        { start: block(0x8, 0x28), size: inodeTableBlocks },
      ],
      freeClusters: descriptor.readUInt16LE(0xc) + (isWide ? descriptor.readUInt16LE(0x2c) * 0x10000 : 0),
      lacksBitmap: superblock.mayLackBitmaps && (descriptor.readUInt16LE(0x12) & lacksBitmapFlag) !== 0,
    };
  });
}

/** A group that was never used holds nothing but copies of the superblock and descriptors, and bitmaps and inode tables. */
function freeInUnusedGroup(superblock: ExtSuperblock, group: Group, metadata: readonly ByteRange[]): ByteRange[] {
  const { clusterBlocks } = superblock;
  const end = group.firstBlock + group.blocks;
  const clusterOf = (block: number) => Math.floor((block - group.firstBlock) / clusterBlocks);
  const free: ByteRange[] = [];
  let at = group.firstBlock;
  /** Everything before a used range is free, up to the cluster in which it begins; and so on behind the one in which it ends. */
  const use = ({ start, size }: ByteRange) => {
    const from = group.firstBlock + clusterOf(start) * clusterBlocks;
    if (from > at) free.push({ start: at, size: from - at });
    at = Math.max(at, group.firstBlock + (clusterOf(start + size - 1) + 1) * clusterBlocks);
  };
  const backup = backupBlocks(superblock, group.number);
  if (backup > 0) use({ start: group.firstBlock, size: backup });
  for (let index = firstEndingAfter(metadata, at); index < metadata.length; index += 1) {
    const used = metadata[index];
    if (used === undefined || used.start >= end) break;
    use(used);
  }
  if (at < end) free.push({ start: at, size: end - at });
  return free;
}

/** The first of sorted ranges, which do not overlap, that ends behind a position. */
function firstEndingAfter(ranges: readonly ByteRange[], position: number): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const range = ranges[middle];
    if (range !== undefined && range.start + range.size <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}

function backupBlocks(superblock: ExtSuperblock, group: number): number {
  const perBlock = Math.floor(superblock.blockSize / superblock.descriptorSize);
  const tableBlocks = Math.ceil(superblock.groupCount / perBlock);
  const inMetaGroup = Math.floor(group / perBlock) >= superblock.firstMetaGroup;
  const copy = superblock.hasBackup(group) ? 1 : 0;
  if (inMetaGroup) {
    // The first, second and last group of a meta block group hold its one block of descriptors.
    return copy + ([0, 1, perBlock - 1].includes(group % perBlock) ? 1 : 0);
  }
  const inTable = Math.min(tableBlocks, superblock.firstMetaGroup);
  return copy === 0 ? 0 : copy + inTable + superblock.reservedDescriptorBlocks;
}

/** Runs of clear bits; bit 0 of byte 0 is the group's first cluster. */
function freeInBitmap(group: Group, clusterBlocks: number, bitmap: Buffer | undefined): ByteRange[] {
  if (bitmap === undefined) return [];
  const free: ByteRange[] = [];
  const clusters = Math.ceil(group.blocks / clusterBlocks);
  let freeFrom: number | undefined;
  const add = (from: number, to: number) => {
    const start = from * clusterBlocks;
    free.push({ start: group.firstBlock + start, size: Math.min(to * clusterBlocks, group.blocks) - start });
  };
  for (let cluster = 0; cluster < clusters;) {
    const byte = bitmap[cluster >> 3] ?? 0xff;
    const isWholeByte = (cluster & 7) === 0 && (byte === 0 || byte === 0xff);
    const isFree = ((byte >> (cluster & 7)) & 1) === 0;
    if (isFree) freeFrom ??= cluster;
    else if (freeFrom !== undefined) {
      add(freeFrom, cluster);
      freeFrom = undefined;
    }
    cluster += isWholeByte ? 8 : 1;
  }
  if (freeFrom !== undefined) add(freeFrom, clusters);
  return free;
}
