import type { BlockReader } from './block-file.js';
import { slotSize } from './fat-folder.js';
import { type FatGeometry, parseFatGeometry } from './fat-geometry.js';
import { damagedFat, type FatPlacement, FatTable } from './fat-table.js';
import { sectorSize, type StagedWriter } from './overlay.js';

/** A folder's bytes and the clusters they came from; the fixed root of FAT12 and FAT16 has none. */
export interface FolderBytes {
  readonly chain: readonly number[];
  readonly bytes: Buffer;
  /** As they are on the disk. */
  readonly before: Buffer;
}

/** FAT allows 65536 slots in a folder. */
export const largestFolder = 65_536 * slotSize;

/** A FAT file system below its names: clusters, chains of them, and the bytes of folders. */
export class FatVolume {
  readonly geometry: FatGeometry;
  readonly table: FatTable;
  readonly #device: BlockReader & StagedWriter;

  private constructor(device: BlockReader & StagedWriter, geometry: FatGeometry, table: FatTable) {
    this.#device = device;
    this.geometry = geometry;
    this.table = table;
  }

  /** Opens what fills a device (a partition with an overlay), or returns undefined when that is not FAT. */
  static async open(device: BlockReader & StagedWriter, placement: FatPlacement): Promise<FatVolume | undefined> {
    const geometry = device.size < 512 ? undefined : parseFatGeometry(await device.read(0, 512));
    if (geometry === undefined) return undefined;
    if (geometry.size > device.size) {
      throw damagedFat(`it is ${geometry.size} bytes large, but there are only ${device.size}`);
    }
    return new FatVolume(device, geometry, await FatTable.load(device, geometry, placement));
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
    return folderOf([], await this.#device.read(root.at, root.size));
  }

  async openFolder(firstCluster: number): Promise<FolderBytes> {
    const chain = this.table.chain(firstCluster);
    if (chain.length * this.geometry.clusterSize > 2 * largestFolder) throw damagedFat('a folder is too large');
    return folderOf(chain, await this.readChain(chain));
  }

  isRoot(folder: FolderBytes): boolean {
    const { root } = this.geometry;
    return 'cluster' in root ? folder.chain[0] === root.cluster : folder.chain.length === 0;
  }

  /**
   * Writes what has changed of a folder, one sector after the other. The one with the slot that a change hangs on comes last when it adds a
   * name, whose other slots mean nothing without it, and first when it takes one away.
   */
  async writeFolder(
    folder: FolderBytes,
    { slot, adds }: { readonly slot: number; readonly adds: boolean },
  ): Promise<void> {
    const deciding = Math.floor((slot * slotSize) / sectorSize);
    const all = Array.from({ length: folder.bytes.length / sectorSize }, (_, index) => index);
    const isChanged = (index: number) => !sectorIn(folder.before, index).equals(sectorIn(folder.bytes, index));
    const others = all.filter((index) => index !== deciding && isChanged(index));
    const behindFirst = [...others.filter((index) => index > deciding), ...others.filter((index) => index < deciding)];
    for (const index of adds ? [...behindFirst, deciding] : [deciding, ...behindFirst]) {
      await this.#device.write(this.#offsetIn(folder, index), sectorIn(folder.bytes, index), 'names');
    }
  }

  /** The folder with so many more clusters, which hold nothing yet; undefined when there are too few that are free. */
  async grow(folder: FolderBytes, clusters: number): Promise<FolderBytes | undefined> {
    const chain = this.table.extend(folder.chain, folder.chain.length + clusters);
    if (chain === undefined) return undefined;
    await this.writeChain(chain.slice(folder.chain.length), new Uint8Array());
    const added = Buffer.alloc(clusters * this.geometry.clusterSize);
    return { chain, bytes: Buffer.concat([folder.bytes, added]), before: Buffer.concat([folder.before, added]) };
  }

  async readChain(chain: readonly number[]): Promise<Buffer> {
    const { clusterSize } = this.geometry;
    const runs: { first: number; count: number }[] = [];
    for (const cluster of chain) {
      const last = runs.at(-1);
      if (last !== undefined && last.first + last.count === cluster) last.count += 1;
      else runs.push({ first: cluster, count: 1 });
    }
    const parts: Buffer[] = [];
    for (const { first, count } of runs) {
      parts.push(await this.#device.read(this.#offsetOf(first), count * clusterSize));
    }
    return parts.length === 1 ? (parts[0] ?? Buffer.alloc(0)) : Buffer.concat(parts);
  }

  /** Writes content into clusters; what is left of the last one is cleared, so that nothing of an older file shows through. */
  async writeChain(chain: readonly number[], content: Uint8Array): Promise<void> {
    const { clusterSize } = this.geometry;
    for (const [index, cluster] of chain.entries()) {
      const piece = Buffer.alloc(clusterSize);
      piece.set(content.subarray(index * clusterSize, (index + 1) * clusterSize));
      await this.#device.write(this.#offsetOf(cluster), piece, 'content');
    }
  }

  /** Where a sector of a folder lies. */
  #offsetIn({ chain }: FolderBytes, index: number): number {
    const { root, clusterSize } = this.geometry;
    const at = index * sectorSize;
    if (chain.length === 0 && 'at' in root) return root.at + at;
    return this.#offsetOf(chain[Math.floor(at / clusterSize)] ?? 0) + (at % clusterSize);
  }

  #offsetOf(cluster: number): number {
    return this.geometry.dataAt + (cluster - 2) * this.geometry.clusterSize;
  }
}

function folderOf(chain: readonly number[], bytes: Buffer): FolderBytes {
  return { chain, bytes, before: Buffer.from(bytes) };
}

function sectorIn(bytes: Buffer, index: number): Buffer {
  return bytes.subarray(index * sectorSize, (index + 1) * sectorSize);
}
