import { whileDoing } from '../failure/while-doing.js';
import type { BlockReader } from '../image/block-file.js';
import { refuseCompressed } from '../image/compressed-image.js';
import { openImageFile } from '../image/image-journal.js';
import { type PartitionTable, readPartitionTable } from '../image/partition-table.js';
import { type BootPartition, type FindBootOptions, findBootPartition } from './boot-partition.js';
import { type OsFacts, readOsFacts } from './os-facts.js';

/** An image or drive that is open for reading, with its boot partition. */
export interface OpenImage {
  readonly reader: BlockReader;
  readonly table: PartitionTable;
  readonly boot: BootPartition;
  readonly os: OsFacts;
  /** What is doubtful about the image itself. */
  readonly warnings: readonly string[];
}

/** Reads something from the boot partition of an image file or a drive; failures tell which. */
export async function readBootPartition<T>(
  image: string,
  read: (open: OpenImage) => Promise<T>,
  options: Pick<FindBootOptions, 'partition'> = {},
): Promise<T> {
  const { file, notices } = await openImageFile(image);
  try {
    await refuseCompressed(file, image);
    const table = await readPartitionTable(file);
    const boot = await findBootPartition(file, table, options);
    const { os, warnings } = await readOsFacts(file, table.partitions, boot);
    const damage = table.damage === undefined ? [] : [table.damage];
    return await read({ reader: file, table, boot, os, warnings: [...notices, ...damage, ...warnings] });
  } catch (error) {
    throw whileDoing(`reading ${image}`, error);
  } finally {
    await file.close();
  }
}
