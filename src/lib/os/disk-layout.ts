import type { PartitionSizes } from './recipe.js';

const mebibyte = 1024 * 1024;

/** Alignment of every partition, as balenaOS images have it (`BALENA_IMAGE_ALIGNMENT`). */
export const alignment = 4 * mebibyte;

/** One partition of an image; its GPT name and the label of its file system are the same word. */
export interface PlannedPartition {
  readonly number: number;
  readonly name: string;
  readonly fileSystem: 'vfat' | 'ext4';
  /** Bytes from the start of the disk, and bytes long. */
  readonly offset: number;
  readonly size: number;
}

/** Where everything is on an image. */
export interface DiskLayout {
  readonly size: number;
  readonly boot: PlannedPartition;
  readonly rootA: PlannedPartition;
  readonly rootB: PlannedPartition;
  readonly state: PlannedPartition;
  readonly data: PlannedPartition;
}

/** Lays out the five partitions of a balenaOS disk, in its order and with its names, behind a first 4 MiB. */
export function planLayout(sizes: PartitionSizes): DiskLayout {
  let number = 0;
  let offset = alignment;
  const next = (name: string, fileSystem: 'vfat' | 'ext4', mebibytes: number): PlannedPartition => {
    const size = mebibytes * mebibyte;
    const partition = { number: ++number, name, fileSystem, offset, size };
    offset += size;
    return partition;
  };
  const boot = next('resin-boot', 'vfat', sizes.boot);
  const rootA = next('resin-rootA', 'ext4', sizes.root);
  const rootB = next('resin-rootB', 'ext4', sizes.root);
  const state = next('resin-state', 'ext4', sizes.state);
  const data = next('resin-data', 'ext4', sizes.data);
  // The backup of the partition table has the last unit to itself.
  return { size: offset + alignment, boot, rootA, rootB, state, data };
}

/** The partitions of a layout in the order of the disk. */
export function partitionsOf(layout: DiskLayout): readonly PlannedPartition[] {
  return [layout.boot, layout.rootA, layout.rootB, layout.state, layout.data];
}
