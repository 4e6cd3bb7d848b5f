import type { BlockReader } from '../image/block-file.js';
import { fatEssentials } from '../image/fat-essentials.js';
import { parseFatGeometry } from '../image/fat-geometry.js';
import { type Partition, type PartitionTable, readPartitionTable } from '../image/partition-table.js';
import type { ImageSource } from '../image/source.js';
import { StreamSpool } from '../image/stream-spool.js';
import { StreamedBlocks } from '../image/streamed-blocks.js';

/** An image as far as its settings need it, whatever it comes from. */
export interface SourceBlocks {
  readonly reader: BlockReader;
  readonly table: PartitionTable;
  /** Nothing behind the boot partition is to be read, because the image comes in order. */
  readonly bootOnly: boolean;
  /** Called before a partition is looked into. */
  readonly prepare?: (partition: Partition) => Promise<void>;
}

/**
 * Looks into an image, also while it is still packed. It can be read from its first byte afterwards. A packed image is read twice up to its
 * boot partition, and only what settings need is held in memory; what standard input gave is held in a temporary file.
 */
export async function lookIntoSource<T>(source: ImageSource, look: (blocks: SourceBlocks) => Promise<T>): Promise<T> {
  const { reader, again, stream } = source;
  if (reader !== undefined) return look({ reader, table: await readPartitionTable(reader), bootOnly: false });
  return again === undefined
    ? lookIntoSpool(await StreamSpool.open(stream), look)
    : lookIntoStream(new StreamedBlocks(again, exactSize(source)), look);
}

async function lookIntoSpool<T>(spool: StreamSpool, look: (blocks: SourceBlocks) => Promise<T>): Promise<T> {
  try {
    const table = await readPartitionTable(spool, { frontOnly: true });
    const found = await look({ reader: spool, table, bootOnly: true });
    spool.flowOn();
    return found;
  } catch (error) {
    await spool.discard();
    throw error;
  }
}

async function lookIntoStream<T>(blocks: StreamedBlocks, look: (blocks: SourceBlocks) => Promise<T>): Promise<T> {
  try {
    const table = await readPartitionTable(blocks, { frontOnly: true });
    const prepare = (partition: Partition) => rememberFileSystem(blocks, partition);
    return await look({ reader: blocks, table, bootOnly: true, prepare });
  } finally {
    await blocks.close();
  }
}

/** What a zstd file states may be the size of its first part only. */
function exactSize({ format, size }: ImageSource): number {
  return format === 'zstd' || size === undefined ? Number.POSITIVE_INFINITY : size;
}

/** Holds on to what will be asked for, so that the image need not be read up to it again for each part. */
async function rememberFileSystem(blocks: StreamedBlocks, { start, size }: Partition): Promise<void> {
  const geometry = size < 512 ? undefined : parseFatGeometry(await blocks.read(start, 512));
  if (geometry === undefined || geometry.size > size) return;
  await blocks.remember([{ start, size: geometry.dataAt }]);
  const table = await blocks.read(start + (geometry.tablesAt[0] ?? 0), geometry.tableSize);
  for (const range of fatEssentials(geometry, table)) {
    await blocks.remember([{ start: start + range.start, size: range.size }]);
  }
}
