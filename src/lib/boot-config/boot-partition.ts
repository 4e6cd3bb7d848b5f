import { Failure } from '../failure/failure.js';
import { type BlockReader, sliceOf } from '../image/block-file.js';
import { FatFileSystem, type FatOptions } from '../image/fat-file-system.js';
import { Overlay } from '../image/overlay.js';
import type { Partition, PartitionTable } from '../image/partition-table.js';

/** How a boot partition was recognised, from the surest way to the weakest. */
export type FoundBy = 'name' | 'label' | 'device-type.json' | 'config.json' | 'bare-file-system';

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
}

/** Names of the boot partition: of an installed system, of a flasher, and the newer one that tools accept. */
const bootNames: readonly string[] = ['resin-boot', 'flash-boot', 'balena-boot'];

/** Whether a partition or file system of this name is the boot partition. */
export function isBootName(name: string | undefined): boolean {
  return name !== undefined && bootNames.includes(name);
}

/**
 * Finds the boot partition: by its GPT name, else by the label of its FAT file system, else by the `device-type.json` it holds, else
 * by a `config.json` on partition 1. An image without a partition table is looked at as one file system. Partition numbers in
 * `device-type.json` move between releases and are not trusted. Fails with `not-found`.
 */
export async function findBootPartition(
  reader: BlockReader,
  table: PartitionTable,
  options: FatOptions = {},
): Promise<BootPartition> {
  const whole = { number: 0, start: 0, size: reader.size, type: '' };
  if (table.kind === 'none') {
    const bare = await openBoot(reader, whole, 'bare-file-system', options);
    if (bare !== undefined && (await looksLikeBoot(bare))) return bare;
    if (bare === undefined) throw notAnImage();
    throw noBootPartition(table);
  }
  for (const partition of table.partitions) {
    if (!isBootName(partition.name)) continue;
    const boot = await openBoot(reader, partition, 'name', options);
    if (boot !== undefined) return boot;
  }
  return (await findByContent(reader, table, options)) ?? raise(noBootPartition(table));
}

async function findByContent(
  reader: BlockReader,
  table: PartitionTable,
  options: FatOptions,
): Promise<BootPartition | undefined> {
  const candidates: BootPartition[] = [];
  for (const partition of table.partitions) {
    const boot = await openBoot(reader, partition, 'label', options);
    if (boot !== undefined && isBootName(boot.label)) return boot;
    if (boot !== undefined) candidates.push(boot);
  }
  for (const boot of candidates) {
    if ((await boot.files.read('device-type.json')) !== undefined) return { ...boot, foundBy: 'device-type.json' };
  }
  const first = candidates.find((boot) => boot.number === 1);
  if (first === undefined || (await first.files.read('config.json')) === undefined) return undefined;
  return { ...first, foundBy: 'config.json' };
}

async function looksLikeBoot(boot: BootPartition): Promise<boolean> {
  if (isBootName(boot.label)) return true;
  const names = (await boot.files.list('/'))?.map((file) => file.name) ?? [];
  return names.includes('device-type.json') || names.includes('config.json');
}

async function openBoot(
  reader: BlockReader,
  partition: Partition,
  foundBy: FoundBy,
  options: FatOptions,
): Promise<BootPartition | undefined> {
  const { number, start, size } = partition;
  // What lies behind the end of a truncated image cannot be the partition in question.
  if (start + size > reader.size) return undefined;
  const overlay = new Overlay(sliceOf(reader, start, size));
  const files = await FatFileSystem.open(overlay, options);
  return files && { number, start, size, label: await files.label(), foundBy, files, overlay };
}

function raise(failure: Failure): never {
  throw failure;
}

function notAnImage(): Failure {
  return new Failure('refused', 'not-an-image', 'there is neither a partition table nor a FAT file system in it', {
    hint: 'Give a whole-disk OS image, decompressed',
  });
}

function noBootPartition(table: PartitionTable): Failure {
  const found = table.partitions.map(({ number, name }) => (name === undefined ? `${number}` : `${number} (${name})`));
  const what = found.length === 0 ? 'no partitions' : `partitions ${found.join(', ')}`;
  return new Failure(
    'not-found',
    'boot-partition-not-found',
    `there is no boot partition in it: it has ${what}, none of them FAT with the name resin-boot, flash-boot or balena-boot, or with a device-type.json`,
    { hint: 'davit configures balenaOS images; look at this one with: davit os inspect' },
  );
}
