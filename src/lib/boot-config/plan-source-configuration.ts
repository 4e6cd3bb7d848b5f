import { whileDoing } from '../failure/while-doing.js';
import { sliceOf } from '../image/block-file.js';
import { fatEssentials } from '../image/fat-essentials.js';
import { parseFatGeometry } from '../image/fat-geometry.js';
import { FatFileSystem } from '../image/fat-file-system.js';
import { Overlay } from '../image/overlay.js';
import { type Partition, type PartitionTable, readPartitionTable } from '../image/partition-table.js';
import type { ImageSource } from '../image/source.js';
import { StreamSpool } from '../image/stream-spool.js';
import { StreamedBlocks } from '../image/streamed-blocks.js';
import { isBootName } from './boot-partition.js';
import { type BootConfigurationPlan, planBootConfiguration } from './boot-configuration-plan.js';
import type { BootConfigurationRequest } from './boot-configuration-request.js';

/**
 * Plans the configuration of an image that is about to be written somewhere, also while it is still packed. The image can be read from its
 * first byte afterwards; the plan's changes are laid over it. A packed image is read twice up to its boot partition, and only what settings
 * need is held in memory; what standard input gave is held in a temporary file.
 */
export async function planSourceConfiguration(
  source: ImageSource,
  request: BootConfigurationRequest,
): Promise<BootConfigurationPlan> {
  const { name, reader, again, stream } = source;
  try {
    if (reader !== undefined) return await planBootConfiguration(reader, request);
    return again === undefined
      ? await planFromSpool(await StreamSpool.open(stream), request)
      : await planFromStream(new StreamedBlocks(again, exactSize(source)), request);
  } catch (error) {
    throw whileDoing(`configuring ${name}`, error);
  }
}

async function planFromSpool(spool: StreamSpool, request: BootConfigurationRequest): Promise<BootConfigurationPlan> {
  try {
    const table = await readPartitionTable(spool, { primariesOnly: true });
    const plan = await planBootConfiguration(spool, request, { table, bootOnly: true });
    spool.flowOn();
    return plan;
  } catch (error) {
    await spool.discard();
    throw error;
  }
}

async function planFromStream(
  blocks: StreamedBlocks,
  request: BootConfigurationRequest,
): Promise<BootConfigurationPlan> {
  try {
    const table = await readPartitionTable(blocks, { primariesOnly: true });
    await rememberBootPartition(blocks, table);
    return await planBootConfiguration(blocks, request, { table, bootOnly: true });
  } finally {
    await blocks.close();
  }
}

/** What a zstd file states may be the size of its first part only. */
function exactSize({ format, size }: ImageSource): number {
  return format === 'zstd' || size === undefined ? Number.POSITIVE_INFINITY : size;
}

/** Holds on to what will be asked for, so that the image need not be read up to it again for each part. */
async function rememberBootPartition(blocks: StreamedBlocks, table: PartitionTable): Promise<void> {
  const named = table.partitions.filter(({ name }) => isBootName(name));
  const candidates = named.length > 0 ? named : table.partitions;
  for (const partition of [...candidates].sort((a, b) => a.start - b.start)) {
    if (partition.start + partition.size > blocks.size) continue;
    const label = await rememberFileSystem(blocks, partition);
    if (isBootName(label)) return;
  }
}

/** Returns the label of a FAT file system. */
async function rememberFileSystem(blocks: StreamedBlocks, { start, size }: Partition): Promise<string | undefined> {
  const geometry = size < 512 ? undefined : parseFatGeometry(await blocks.read(start, 512));
  if (geometry === undefined || geometry.size > size) return undefined;
  await blocks.remember([{ start, size: geometry.dataAt }]);
  const table = await blocks.read(start + (geometry.tablesAt[0] ?? 0), geometry.tableSize);
  for (const range of fatEssentials(geometry, table)) {
    await blocks.remember([{ start: start + range.start, size: range.size }]);
  }
  const files = await FatFileSystem.open(new Overlay(sliceOf(blocks, start, size)));
  return files?.label();
}
