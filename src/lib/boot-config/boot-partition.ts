import { Failure } from '../failure/failure.js';
import type { BlockReader } from '../image/block-file.js';
import type { FatFileSystem, FatOptions } from '../image/fat-file-system.js';
import type { Overlay } from '../image/overlay.js';
import { overlap, type Partition, type PartitionTable } from '../image/partition-table.js';
import { BootSearch } from './boot-search.js';

/** How a boot partition was recognised: as it was asked for, or from the surest way to the weakest. */
export type FoundBy =
  'asked-for' | 'name' | 'label' | 'device-type.json' | 'device-type.json-hint' | 'config.json' | 'bare-file-system';

/** The partition that holds config.json, open for reading and, in memory, for changing. */
export interface BootPartition {
  /** 0 when the whole image is the file system. */
  readonly number: number;
  readonly start: number;
  readonly size: number;
  readonly label: string;
  readonly foundBy: FoundBy;
  readonly files: FatFileSystem;
  /** Holds what is written to `files`. */
  readonly overlay: Overlay;
  /** Where `device-type.json` and what else describes the OS lie: in `files`, but on another partition before OS 2.0. */
  readonly system: FatFileSystem;
}

/** How a boot partition is looked for and opened. */
export interface FindBootOptions extends FatOptions {
  /** The number, name or label of the partition to take, whatever it looks like. */
  readonly partition?: string | undefined;
  /** Called before a partition is looked into, for images of which not everything can be read at any time. */
  readonly prepare?: (partition: Partition) => Promise<void>;
}

/**
 * Finds the boot partition: by its GPT name, else by the label of its FAT file system, else by the `device-type.json` it holds, else by what
 * that file says, else by a `config.json` on partition 1. An image without a partition table is looked at as one file system. Fails with
 * `not-found`, and with `refused` where two partitions are equally likely, because a guess that is wrong is noticed late.
 */
export async function findBootPartition(
  reader: BlockReader,
  table: PartitionTable,
  options: FindBootOptions = {},
): Promise<BootPartition> {
  const search = new BootSearch(reader, table, options);
  const boot = await search.find();
  requireOwnSpace(boot, search.partitions, table);
  return boot;
}

/** What lies in a partition's own space only can be changed without changing another. */
function requireOwnSpace(boot: BootPartition, partitions: readonly Partition[], table: PartitionTable): void {
  if (boot.number === 0) return;
  const other = partitions.find((one) => one.number !== boot.number && overlap(one, boot));
  const isOnTable = table.regions.some((region) => overlap(region, boot));
  if (other === undefined && !isOnTable) return;
  const what = other === undefined ? 'the partition table' : `partition ${other.number}`;
  throw new Failure(
    'failed',
    'partition-table-damaged',
    `partition ${boot.number}, which is the boot partition, overlaps ${what}`,
    { hint: 'The image is corrupt; get it again' },
  );
}
