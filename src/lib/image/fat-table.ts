import { Failure } from '../failure/failure.js';
import type { BlockReader } from './block-file.js';
import type { FatGeometry } from './fat-geometry.js';
import { sectorSize, type StagedWriter, type WriteStage } from './overlay.js';

/**
 * Where new content goes: `beside` the old, which stays whole until the new is linked to its name, so that each file is old or new at any
 * moment; or `over` it, which needs less room.
 */
export type FatPlacement = 'beside' | 'over';

/** The failure for a file system that contradicts itself. */
export function damagedFat(why: string): Failure {
  return new Failure('failed', 'file-system-damaged', `the FAT file system is damaged: ${why}`, {
    hint: 'Get the image again, or check it with fsck.fat',
  });
}

const infoSignatures = [
  [0, 0x41615252],
  [484, 0x61417272],
  [508, 0xaa550000],
] as const;

/** What a table says about a cluster: 0 when it is free, else the next one or a mark for the end or for bad sectors. */
export function tableEntry(table: Buffer, bits: FatGeometry['bits'], cluster: number): number {
  switch (bits) {
    case 12: {
      const pair = table.readUInt16LE(cluster + (cluster >> 1));
      return (cluster & 1) === 1 ? pair >> 4 : pair & 0xfff;
    }
    case 16:
      return table.readUInt16LE(cluster * 2);
    case 32:
      // The four highest bits are reserved.
      return table.readUInt32LE(cluster * 4) & 0x0fffffff;
  }
}

/** The table at the moments at which it reaches a medium before its last state does. */
interface TableDrafts {
  /** As it was read. */
  readonly before: Buffer;
  /** With what was put into free clusters. */
  readonly linked: Buffer;
  /** The same, and with chains that have grown by it; but nothing of what was freed. */
  readonly grown: Buffer;
}

/** The allocation table, held in memory: which cluster follows which, and which are free. */
export class FatTable {
  readonly #volume: BlockReader & StagedWriter;
  readonly #geometry: FatGeometry;
  readonly #placement: FatPlacement;
  readonly #bytes: Buffer;
  /** Made when the first entry changes. */
  #drafts: TableDrafts | undefined;
  #freeClusters = 0;
  /** Clusters that are free now and were not before. */
  #freed = 0;
  #lastAllocated = 0;
  /** Sectors of the table that have changed. */
  readonly #changed = new Set<number>();

  private constructor(
    volume: BlockReader & StagedWriter,
    geometry: FatGeometry,
    placement: FatPlacement,
    bytes: Buffer,
  ) {
    this.#volume = volume;
    this.#geometry = geometry;
    this.#placement = placement;
    this.#bytes = bytes;
    for (let cluster = 2; cluster < this.#end; cluster += 1) if (this.#get(cluster) === 0) this.#freeClusters += 1;
  }

  /** Reads the first copy of the table that is in use. */
  static async load(
    volume: BlockReader & StagedWriter,
    geometry: FatGeometry,
    placement: FatPlacement,
  ): Promise<FatTable> {
    const bytes = await volume.read(geometry.tablesAt[0] ?? 0, geometry.tableSize);
    return new FatTable(volume, geometry, placement, bytes);
  }

  /** Clusters that something can be put into. */
  get freeClusters(): number {
    return this.#freeClusters - (this.#placement === 'beside' ? this.#freed : 0);
  }

  /** All clusters of a file or folder, in order. A chain that loops, or leads to where no data is, is a failure. */
  chain(first: number): number[] {
    const clusters: number[] = [];
    let cluster = first;
    while (!this.#isEnd(cluster)) {
      if (cluster < 2 || cluster > this.#geometry.clusterCount + 1)
        throw damagedFat(`cluster ${cluster} does not exist`);
      if (clusters.length >= this.#geometry.clusterCount) throw damagedFat(`the clusters from ${first} on form a loop`);
      clusters.push(cluster);
      cluster = this.#get(cluster);
    }
    return clusters;
  }

  /** A new chain of the lowest free clusters; undefined, and nothing changed, when there are too few. */
  allocate(length: number): number[] | undefined {
    return this.extend([], length);
  }

  /** Appends the lowest free clusters to a chain. Returns the new chain; undefined, and nothing changed, when there are too few. */
  extend(chain: readonly number[], length: number): number[] | undefined {
    if (length - chain.length > this.freeClusters) return undefined;
    const result = [...chain, ...this.#takeFree(length - chain.length)];
    for (let index = Math.max(0, chain.length - 1); index < result.length; index += 1) {
      this.#set(result[index] ?? 0, result[index + 1] ?? endOfChain);
    }
    return result;
  }

  /** Frees clusters. */
  free(clusters: readonly number[]): void {
    for (const cluster of clusters) this.#set(cluster, 0);
  }

  /**
   * Writes the table to every copy in use, and FAT32's count of free clusters: what was added first, what was freed in the end. An entry of
   * FAT12 may lie across two sectors; for a folder that grows there, the order is not enough.
   */
  async flush(): Promise<void> {
    if (this.#drafts === undefined || this.#changed.size === 0) return;
    const { linked, grown } = this.#drafts;
    const changed = [...this.#changed];
    this.#changed.clear();
    await this.#write(linked, changed, 'links');
    await this.#writeInfo(this.#freeClusters - this.#freed, 'links');
    await this.#write(grown, changed, 'growth');
    await this.#write(this.#bytes, changed);
    await this.#writeInfo(this.#freeClusters);
  }

  async #write(table: Buffer, sectors: readonly number[], stage?: WriteStage): Promise<void> {
    for (const index of sectors) {
      const sector = table.subarray(index * sectorSize, (index + 1) * sectorSize);
      for (const at of this.#geometry.tablesAt) await this.#volume.write(at + index * sectorSize, sector, stage);
    }
  }

  async #writeInfo(freeClusters: number, stage?: WriteStage): Promise<void> {
    const { infoAt } = this.#geometry;
    if (infoAt === undefined) return;
    const info = await this.#volume.read(infoAt, 512);
    if (!infoSignatures.every(([offset, value]) => info.readUInt32LE(offset) === value)) return;
    info.writeUInt32LE(freeClusters, 488);
    if (this.#lastAllocated !== 0) info.writeUInt32LE(this.#lastAllocated, 492);
    await this.#volume.write(infoAt, info, stage);
  }

  #takeFree(count: number): number[] {
    const taken: number[] = [];
    for (let cluster = 2; cluster < this.#end && taken.length < count; cluster += 1) {
      if (this.#get(cluster) === 0 && !(this.#placement === 'beside' && this.#wasUsed(cluster))) taken.push(cluster);
    }
    this.#lastAllocated = taken.at(-1) ?? this.#lastAllocated;
    return taken;
  }

  /** The first number that is no cluster's any more. */
  get #end(): number {
    return this.#geometry.clusterCount + 2;
  }

  #isEnd(value: number): boolean {
    return value >= { 12: 0xff8, 16: 0xfff8, 32: 0x0ffffff8 }[this.#geometry.bits];
  }

  #get(cluster: number): number {
    return tableEntry(this.#bytes, this.#geometry.bits, cluster);
  }

  #wasUsed(cluster: number): boolean {
    return tableEntry(this.#drafts?.before ?? this.#bytes, this.#geometry.bits, cluster) !== 0;
  }

  #set(cluster: number, value: number): void {
    const { bits } = this.#geometry;
    this.#drafts ??= {
      before: Buffer.from(this.#bytes),
      linked: Buffer.from(this.#bytes),
      grown: Buffer.from(this.#bytes),
    };
    const { linked, grown } = this.#drafts;
    const change = (value === 0 ? 1 : 0) - (this.#get(cluster) === 0 ? 1 : 0);
    this.#freeClusters += change;
    if (this.#wasUsed(cluster)) this.#freed += change;
    setTableEntry(this.#bytes, bits, cluster, value);
    const before = tableEntry(this.#drafts.before, bits, cluster);
    setTableEntry(linked, bits, cluster, before === 0 ? value : before);
    setTableEntry(grown, bits, cluster, value === 0 ? before : value);
    const firstByte = Math.floor((cluster * bits) / 8);
    const lastByte = Math.floor(((cluster + 1) * bits - 1) / 8);
    this.#changed.add(Math.floor(firstByte / sectorSize)).add(Math.floor(lastByte / sectorSize));
  }
}

function setTableEntry(table: Buffer, bits: FatGeometry['bits'], cluster: number, value: number): void {
  switch (bits) {
    case 12: {
      const at = cluster + (cluster >> 1);
      const pair = table.readUInt16LE(at);
      const own = value & 0xfff;
      table.writeUInt16LE((cluster & 1) === 1 ? (pair & 0x000f) | (own << 4) : (pair & 0xf000) | own, at);
      return;
    }
    case 16:
      table.writeUInt16LE(value & 0xffff, cluster * 2);
      return;
    case 32: {
      // The reserved bits stay as they are.
      const reserved = table.readUInt32LE(cluster * 4) & 0xf0000000;
      table.writeUInt32LE((reserved | (value & 0x0fffffff)) >>> 0, cluster * 4);
    }
  }
}

const endOfChain = 0x0fffffff;
