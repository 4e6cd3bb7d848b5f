import type { BlockReader, BlockWriter } from './block-file.js';
import { slotSize } from './fat-folder.js';
import { type FatGeometry, parseFatGeometry } from './fat-geometry.js';
import { damagedFat, FatTable } from './fat-table.js';

/** A folder's bytes and the clusters they came from; the fixed root of FAT12 and FAT16 has none. */
export interface FolderBytes {
  readonly chain: readonly number[];
  readonly bytes: Buffer;
}

/** FAT allows 65536 slots in a folder. */
export const largestFolder = 65_536 * slotSize;

/** A FAT file system below its names: clusters, chains of them, and the bytes of folders. */
export class FatVolume {
  readonly geometry: FatGeometry;
  readonly table: FatTable;
  readonly #device: BlockReader & BlockWriter;

  private constructor(device: BlockReader & BlockWriter, geometry: FatGeometry, table: FatTable) {
    this.#device = device;
    this.geometry = geometry;
    this.table = table;
  }

  /** Opens what fills a device (a partition with an overlay), or returns undefined when that is not FAT. */
  static async open(device: BlockReader & BlockWriter): Promise<FatVolume | undefined> {
    const geometry = device.size < 512 ? undefined : parseFatGeometry(await device.read(0, 512));
    if (geometry === undefined) return undefined;
    if (geometry.size > device.size) {
      throw damagedFat(`it is ${geometry.size} bytes large, but there are only ${device.size}`);
    }
    return new FatVolume(device, geometry, await FatTable.load(device, geometry));
  }

  /** Bytes in clusters that are free. */
  get freeBytes(): number {
    return this.table.freeClusters * this.geometry.clusterSize;
  }

  /** Clusters that so many bytes take. */
  clustersFor(bytes: number): number {
    return Math.ceil(bytes / this.geometry.clusterSize);
  }

  async openRoot(): Promise<FolderBytes> {
    const { root } = this.geometry;
    if ('cluster' in root) return this.openFolder(root.cluster);
    return { chain: [], bytes: await this.#device.read(root.at, root.size) };
  }

  async openFolder(firstCluster: number): Promise<FolderBytes> {
    const chain = this.table.chain(firstCluster);
    if (chain.length * this.geometry.clusterSize > 2 * largestFolder) throw damagedFat('a folder is too large');
    return { chain, bytes: await this.readChain(chain) };
  }

  isRoot(folder: FolderBytes): boolean {
    const { root } = this.geometry;
    return 'cluster' in root ? folder.chain[0] === root.cluster : folder.chain.length === 0;
  }

  async writeFolder(folder: FolderBytes): Promise<void> {
    const { root } = this.geometry;
    if (folder.chain.length === 0 && 'at' in root) await this.#device.write(root.at, folder.bytes);
    else await this.writeChain(folder.chain, folder.bytes);
  }

  async readChain(chain: readonly number[]): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (const cluster of chain)
      parts.push(await this.#device.read(this.#offsetOf(cluster), this.geometry.clusterSize));
    return Buffer.concat(parts);
  }

  /** Writes content into clusters; what is left of the last one is cleared, so that nothing of an older file shows through. */
  async writeChain(chain: readonly number[], content: Uint8Array): Promise<void> {
    const { clusterSize } = this.geometry;
    for (const [index, cluster] of chain.entries()) {
      const piece = Buffer.alloc(clusterSize);
      piece.set(content.subarray(index * clusterSize, (index + 1) * clusterSize));
      await this.#device.write(this.#offsetOf(cluster), piece);
    }
  }

  #offsetOf(cluster: number): number {
    return this.geometry.dataAt + (cluster - 2) * this.geometry.clusterSize;
  }
}
