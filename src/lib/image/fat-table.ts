import { Failure } from '../failure/failure.js';
import type { BlockReader, BlockWriter } from './block-file.js';
import type { FatGeometry } from './fat-geometry.js';

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

/** The allocation table, held in memory: which cluster follows which, and which are free. */
export class FatTable {
  readonly #volume: BlockReader & BlockWriter;
  readonly #geometry: FatGeometry;
  readonly #bytes: Buffer;
  #freeClusters = 0;
  #lastAllocated = 0;
  /** Changed pieces of the table, by their index in units of `pieceSize`. */
  readonly #changed = new Set<number>();

  private constructor(volume: BlockReader & BlockWriter, geometry: FatGeometry, bytes: Buffer) {
    this.#volume = volume;
    this.#geometry = geometry;
    this.#bytes = bytes;
    for (const cluster of this.#clusters()) if (this.#get(cluster) === 0) this.#freeClusters += 1;
  }

  /** Reads the first copy of the table that is in use. */
  static async load(volume: BlockReader & BlockWriter, geometry: FatGeometry): Promise<FatTable> {
    const bytes = await volume.read(geometry.tablesAt[0] ?? 0, geometry.tableSize);
    return new FatTable(volume, geometry, bytes);
  }

  get freeClusters(): number {
    return this.#freeClusters;
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

  /**
   * Makes a chain as long as wanted: its last clusters are freed, or the lowest free ones appended. Returns the new chain; when there
   * are too few free clusters nothing is changed and the result is undefined.
   */
  resize(chain: readonly number[], length: number): number[] | undefined {
    if (length - chain.length > this.#freeClusters) return undefined;
    const kept = chain.slice(0, length);
    for (const cluster of chain.slice(length)) {
      this.#set(cluster, 0);
      this.#freeClusters += 1;
    }
    const added = this.#takeFree(length - kept.length);
    const result = [...kept, ...added];
    const firstToLink = Math.max(0, kept.length - 1);
    for (const [index, cluster] of result.entries()) {
      if (index >= firstToLink) this.#set(cluster, result[index + 1] ?? endOfChain);
    }
    return result;
  }

  /** Writes the table to every copy in use, and FAT32's count of free clusters. */
  async flush(): Promise<void> {
    if (this.#changed.size === 0) return;
    for (const index of this.#changed) {
      const piece = this.#bytes.subarray(index * pieceSize, (index + 1) * pieceSize);
      for (const at of this.#geometry.tablesAt) await this.#volume.write(at + index * pieceSize, piece);
    }
    this.#changed.clear();
    await this.#flushInfo();
  }

  async #flushInfo(): Promise<void> {
    const { infoAt } = this.#geometry;
    if (infoAt === undefined) return;
    const info = await this.#volume.read(infoAt, 512);
    if (!infoSignatures.every(([offset, value]) => info.readUInt32LE(offset) === value)) return;
    info.writeUInt32LE(this.#freeClusters, 488);
    if (this.#lastAllocated !== 0) info.writeUInt32LE(this.#lastAllocated, 492);
    await this.#volume.write(infoAt, info);
  }

  #takeFree(count: number): number[] {
    const taken: number[] = [];
    for (const cluster of this.#clusters()) {
      if (taken.length >= count) break;
      if (this.#get(cluster) === 0) taken.push(cluster);
    }
    this.#freeClusters -= taken.length;
    this.#lastAllocated = taken.at(-1) ?? this.#lastAllocated;
    return taken;
  }

  *#clusters(): Generator<number> {
    for (let cluster = 2; cluster < this.#geometry.clusterCount + 2; cluster += 1) yield cluster;
  }

  #isEnd(value: number): boolean {
    return value >= { 12: 0xff8, 16: 0xfff8, 32: 0x0ffffff8 }[this.#geometry.bits];
  }

  #get(cluster: number): number {
    return tableEntry(this.#bytes, this.#geometry.bits, cluster);
  }

  #set(cluster: number, value: number): void {
    const firstByte = Math.floor((cluster * this.#geometry.bits) / 8);
    const lastByte = Math.floor(((cluster + 1) * this.#geometry.bits - 1) / 8);
    this.#changed.add(Math.floor(firstByte / pieceSize)).add(Math.floor(lastByte / pieceSize));
    switch (this.#geometry.bits) {
      case 12: {
        const at = cluster + (cluster >> 1);
        const pair = this.#bytes.readUInt16LE(at);
        const own = value & 0xfff;
        this.#bytes.writeUInt16LE((cluster & 1) === 1 ? (pair & 0x000f) | (own << 4) : (pair & 0xf000) | own, at);
        return;
      }
      case 16:
        this.#bytes.writeUInt16LE(value & 0xffff, cluster * 2);
        return;
      case 32: {
        // The reserved bits stay as they are.
        const reserved = this.#bytes.readUInt32LE(cluster * 4) & 0xf0000000;
        this.#bytes.writeUInt32LE((reserved | (value & 0x0fffffff)) >>> 0, cluster * 4);
      }
    }
  }
}

const endOfChain = 0x0fffffff;
const pieceSize = 512;
