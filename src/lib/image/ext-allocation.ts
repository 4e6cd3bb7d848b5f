import type { RangeParser } from './block-map.js';
import { type ExtSuperblock, parseExtSuperblock, superblockAt, superblockSize } from './ext-superblock.js';
import type { ByteRange } from './partition-table.js';

/** One block group as its descriptor tells it; positions in blocks. */
interface Group {
  readonly number: number;
  readonly firstBlock: number;
  readonly blocks: number;
  readonly bitmapAt: number;
  /** Blocks of the bitmaps and of the inode table, wherever in the file system they lie. */
  readonly metadata: readonly ByteRange[];
  readonly freeBlocks: number;
  /** Whether it was never used, so that there is no bitmap on disk. */
  readonly lacksBitmap: boolean;
}

/** Finds the free blocks of an ext2, ext3 or ext4 file system. Says nothing about one that is unclean or not understood. */
export function* extFreeSpace(partition: ByteRange, found: (range: ByteRange) => void): RangeParser {
  if (partition.size < superblockAt + superblockSize) return;
  const bytes = yield { start: partition.start + superblockAt, size: superblockSize };
  const superblock = bytes && parseExtSuperblock(bytes);
  if (superblock === undefined || superblock.blockCount * superblock.blockSize > partition.size) return;
  const inBytes = (range: ByteRange): ByteRange => ({
    start: partition.start + range.start * superblock.blockSize,
    size: range.size * superblock.blockSize,
  });
  let metadata: readonly ByteRange[] = [];
  for (const descriptors of descriptorRanges(superblock)) {
    const table = yield inBytes(descriptors);
    if (table === undefined) return;
    const groups = parseDescriptors(superblock, table, descriptors.firstGroup);
    metadata = [...metadata, ...groups.flatMap((group) => group.metadata)].sort((a, b) => a.start - b.start);
    for (const group of groups) {
      const free = group.lacksBitmap
        ? freeInUnusedGroup(superblock, group, metadata)
        : freeInBitmap(group, yield inBytes({ start: group.bitmapAt, size: 1 }));
      // The descriptor counts as well. Where the two disagree something is not understood, and all of the group matters.
      const count = free.reduce((sum, range) => sum + range.size, 0);
      if (count === group.freeBlocks) for (const range of free) found(inBytes(range));
    }
  }
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
  if (inTable > 0) yield { start: firstBlock + 1, size: inTable, firstGroup: 0 };
  for (let meta = inTable; meta < blocks; meta += 1) {
    const firstGroup = meta * perBlock;
    const groupStart = firstBlock + firstGroup * blocksPerGroup;
    yield { start: groupStart + (superblock.hasBackup(firstGroup) ? 1 : 0), size: 1, firstGroup };
  }
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
      freeBlocks: descriptor.readUInt16LE(0xc) + (isWide ? descriptor.readUInt16LE(0x2c) * 0x10000 : 0),
      lacksBitmap: superblock.mayLackBitmaps && (descriptor.readUInt16LE(0x12) & lacksBitmapFlag) !== 0,
    };
  });
}

/** A group that was never used holds nothing but copies of the superblock and descriptors, and bitmaps and inode tables. */
function freeInUnusedGroup(superblock: ExtSuperblock, group: Group, metadata: readonly ByteRange[]): ByteRange[] {
  const end = group.firstBlock + group.blocks;
  const free: ByteRange[] = [];
  let at = group.firstBlock + backupBlocks(superblock, group.number);
  for (const used of metadata) {
    if (used.start + used.size <= at || used.start >= end) continue;
    if (used.start > at) free.push({ start: at, size: used.start - at });
    at = used.start + used.size;
  }
  if (at < end) free.push({ start: at, size: end - at });
  return free;
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

/** Runs of clear bits; bit 0 of byte 0 is the group's first block. */
function freeInBitmap(group: Group, bitmap: Buffer | undefined): ByteRange[] {
  if (bitmap === undefined) return [];
  const free: ByteRange[] = [];
  let freeFrom: number | undefined;
  for (let block = 0; block < group.blocks;) {
    const byte = bitmap[block >> 3] ?? 0xff;
    const isWholeByte = (block & 7) === 0 && (byte === 0 || byte === 0xff);
    const isFree = ((byte >> (block & 7)) & 1) === 0;
    if (isFree) freeFrom ??= block;
    else if (freeFrom !== undefined) {
      free.push({ start: group.firstBlock + freeFrom, size: block - freeFrom });
      freeFrom = undefined;
    }
    block += isWholeByte ? 8 : 1;
  }
  if (freeFrom !== undefined) free.push({ start: group.firstBlock + freeFrom, size: group.blocks - freeFrom });
  return free;
}
