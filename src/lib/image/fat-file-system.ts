import { Failure } from '../failure/failure.js';
import type { BlockReader } from './block-file.js';
import {
  dotEntries,
  encodeEntry,
  eraseEntry,
  fatTime,
  type FatTime,
  findFreeSlots,
  type FolderEntry,
  labelIn,
  parseFolder,
  slotSize,
  updateEntry,
} from './fat-folder.js';
import { readShortName, requireFatName } from './fat-name.js';
import { damagedFat, type FatPlacement } from './fat-table.js';
import { FatVolume, type FolderBytes, largestFolder } from './fat-volume.js';
import type { StagedWriter } from './overlay.js';

/** How a file system is changed. */
export interface FatOptions {
  /** What is written carries this moment; without one the day FAT counts from, so that nothing depends on the clock. */
  readonly time?: Date;
  /** `over` by default. */
  readonly placement?: FatPlacement;
}

/** One file or folder in a listing. */
export interface FatFile {
  readonly name: string;
  readonly isFolder: boolean;
  readonly size: number;
}

/**
 * Reads and writes a FAT12, FAT16 or FAT32 file system in user space. Paths are separated by slashes; names are found whatever their
 * case. What does not fit is refused before it is written. Nothing depends on the clock: what is written carries the time given, so
 * that the same changes give the same bytes.
 */
export class FatFileSystem {
  readonly #volume: FatVolume;
  readonly #placement: FatPlacement;
  readonly #time: FatTime;

  private constructor(volume: FatVolume, placement: FatPlacement, time: FatTime) {
    this.#volume = volume;
    this.#placement = placement;
    this.#time = time;
  }

  /** Opens the file system that fills a device (a partition with an overlay), or returns undefined when it is not FAT. */
  static async open(
    device: BlockReader & StagedWriter,
    { time = new Date(0), placement = 'over' }: FatOptions = {},
  ): Promise<FatFileSystem | undefined> {
    const volume = await FatVolume.open(device, placement);
    return volume && new FatFileSystem(volume, placement, fatTime(time));
  }

  get bits(): 12 | 16 | 32 {
    return this.#volume.geometry.bits;
  }

  get freeBytes(): number {
    return this.#volume.freeBytes;
  }

  /** The volume label: the root folder's, else the boot sector's. */
  async label(): Promise<string> {
    return labelIn((await this.#volume.openRoot()).bytes) ?? this.#volume.geometry.label;
  }

  /** What is in a folder, or undefined when there is no such folder. */
  async list(path: string): Promise<FatFile[] | undefined> {
    const folder = await this.#findFolder(namesIn(path));
    return folder && parseFolder(folder.bytes).map(({ name, isFolder, size }) => ({ name, isFolder, size }));
  }

  /** A file's content, or undefined when there is no such file. */
  async read(path: string): Promise<Buffer | undefined> {
    const names = namesIn(path);
    const folder = await this.#findFolder(names.slice(0, -1));
    const entry = folder && find(folder, names.at(-1) ?? '');
    return entry === undefined || entry.isFolder ? undefined : this.#readContent(entry);
  }

  /** Writes a file, over what it held if it is there; folders above it are made. */
  async write(path: string, content: Uint8Array): Promise<void> {
    const { parent, name } = await this.#place(path);
    const existing = find(parent, name);
    if (existing?.isFolder === true) throw notAFile(path);
    if (existing !== undefined && (await this.#readContent(existing)).equals(content)) return;
    const length = this.#volume.clustersFor(content.length);
    if (existing === undefined) {
      await this.#addEntry(parent, name, { isFolder: false, size: content.length, length }, (chain) =>
        this.#volume.writeChain(chain, content),
      );
    } else {
      const chain = this.#replace(path, this.#chainOf(existing), length);
      await this.#volume.writeChain(chain, content);
      const firstCluster = chain[0] ?? 0;
      updateEntry(parent.bytes, existing, { isFolder: false, size: content.length, firstCluster, time: this.#time });
      await this.#volume.writeFolder(parent, { slot: existing.lastSlot, adds: true });
    }
    await this.#volume.table.flush();
  }

  /** Makes a folder and those above it; one that is there is left as it is. */
  async makeFolder(path: string): Promise<void> {
    const { parent, name } = await this.#place(path);
    const existing = find(parent, name);
    if (existing !== undefined) {
      if (!existing.isFolder) throw notAFolder(path);
      return;
    }
    const parentCluster = this.#volume.isRoot(parent) ? 0 : (parent.chain[0] ?? 0);
    await this.#addEntry(parent, name, { isFolder: true, size: 0, length: 1 }, (chain) => {
      const own = { isFolder: true, size: 0, firstCluster: chain[0] ?? 0, time: this.#time };
      return this.#volume.writeChain(chain, dotEntries(own, parentCluster));
    });
    await this.#volume.table.flush();
  }

  /** Removes a file or an empty folder; true when there was one. */
  async remove(path: string): Promise<boolean> {
    const names = namesIn(path);
    const parent = await this.#findFolder(names.slice(0, -1));
    const entry = parent && find(parent, names.at(-1) ?? '');
    if (parent === undefined || entry === undefined) return false;
    if (entry.isFolder && parseFolder((await this.#openFolder(entry)).bytes).length > 0) {
      throw new Failure('refused', 'folder-not-empty', `the folder ${path} is not empty`);
    }
    this.#volume.table.free(this.#chainOf(entry));
    eraseEntry(parent.bytes, entry);
    await this.#volume.writeFolder(parent, { slot: entry.lastSlot, adds: false });
    await this.#volume.table.flush();
    return true;
  }

  /** Bytes that are lacking to write these files; 0 when there is room. Folders that would have to grow are not counted. */
  async missingBytes(files: readonly { readonly path: string; readonly content: Uint8Array }[]): Promise<number> {
    let wanted = 0;
    for (const { path, content } of files) {
      const existing = await this.read(path);
      if (existing?.equals(content) === true) continue;
      wanted += this.#volume.clustersFor(content.length);
      if (this.#placement === 'over') wanted -= this.#volume.clustersFor(existing?.length ?? 0);
    }
    return Math.max(0, wanted - this.#volume.table.freeClusters) * this.#volume.geometry.clusterSize;
  }

  /** Adds a name and its clusters, after making sure that there is room for both and for the folder to grow. */
  async #addEntry(
    parent: FolderBytes,
    name: string,
    wish: { readonly isFolder: boolean; readonly size: number; readonly length: number },
    fill: (chain: readonly number[]) => Promise<void>,
  ): Promise<void> {
    const { isFolder, size, length } = wish;
    const draft = encodeEntry(name, { isFolder, size, firstCluster: 0, time: this.#time }, parent.bytes);
    const at = findFreeSlots(parent.bytes, draft.length / slotSize, parent.chain.length > 0) * slotSize;
    const grown = await this.#grow(parent, at + draft.length, length, name);
    const chain = this.#volume.table.allocate(length) ?? [];
    await fill(chain);
    const content = { isFolder, size, firstCluster: chain[0] ?? 0, time: this.#time };
    encodeEntry(name, content, parent.bytes).copy(grown.bytes, at);
    await this.#volume.writeFolder(grown, { slot: (at + draft.length) / slotSize - 1, adds: true });
  }

  /** Clusters for what replaces the content of some. */
  #replace(path: string, old: readonly number[], length: number): number[] {
    const { table } = this.#volume;
    const kept = this.#placement === 'over' ? old.slice(0, length) : [];
    const chain = table.extend(kept, length);
    if (chain === undefined) throw this.#full(path, length - kept.length);
    table.free(old.slice(kept.length));
    return chain;
  }

  /** The folder with room for so many bytes of entries, provided that so many further clusters are free. */
  async #grow(folder: FolderBytes, needed: number, furtherClusters: number, name: string): Promise<FolderBytes> {
    const clusters = folder.chain.length === 0 ? 0 : this.#volume.clustersFor(needed);
    const added = Math.max(0, clusters - folder.chain.length);
    if (added + furtherClusters > this.#volume.table.freeClusters) throw this.#full(name, added + furtherClusters);
    if (needed <= folder.bytes.length) return folder;
    if (folder.chain.length === 0 || needed > largestFolder) {
      throw new Failure('refused', 'boot-partition-full', `there is no room for another name beside ${name}`, {
        hint: 'Remove files from that folder of the partition',
      });
    }
    const grown = await this.#volume.grow(folder, added);
    if (grown === undefined) throw this.#full(name, added);
    return grown;
  }

  #full(path: string, clusters: number): Failure {
    return partitionFull(path, clusters * this.#volume.geometry.clusterSize - this.freeBytes);
  }

  async #place(path: string): Promise<{ parent: FolderBytes; name: string }> {
    const names = namesIn(path);
    const name = names.at(-1) ?? '';
    requireFatName(name);
    const above = names.slice(0, -1);
    if (above.length > 0) await this.makeFolder(above.join('/'));
    const parent = await this.#findFolder(above);
    if (parent === undefined) throw notAFolder(above.join('/'));
    return { parent, name };
  }

  async #findFolder(names: readonly string[]): Promise<FolderBytes | undefined> {
    let folder = await this.#volume.openRoot();
    for (const name of names) {
      const entry = find(folder, name);
      if (entry?.isFolder !== true) return undefined;
      folder = await this.#openFolder(entry);
    }
    return folder;
  }

  #openFolder(entry: FolderEntry): Promise<FolderBytes> {
    return this.#volume.openFolder(this.#firstClusterOf(entry));
  }

  #chainOf(entry: FolderEntry): number[] {
    const first = this.#firstClusterOf(entry);
    return first === 0 ? [] : this.#volume.table.chain(first);
  }

  /** FAT12 and FAT16 have something else where FAT32 has the upper half of a cluster's number, and OS/2 used it. */
  #firstClusterOf({ firstCluster }: FolderEntry): number {
    return this.bits === 32 ? firstCluster : firstCluster & 0xffff;
  }

  async #readContent(entry: FolderEntry): Promise<Buffer> {
    const chain = this.#chainOf(entry);
    if (entry.size > chain.length * this.#volume.geometry.clusterSize)
      throw damagedFat(`${entry.name} has too few clusters`);
    return (await this.#volume.readChain(chain)).subarray(0, entry.size);
  }
}

/** The failure for a partition without room; `missing` is in bytes. */
export function partitionFull(path: string, missing: number): Failure {
  return new Failure(
    'refused',
    'boot-partition-full',
    `the boot partition is full: ${missing} bytes are missing to write ${path}`,
    { hint: 'Leave something out, or remove files from the boot partition of the image' },
  );
}

function namesIn(path: string): string[] {
  return path.split('/').filter((name) => name !== '');
}

function find(folder: FolderBytes, name: string): FolderEntry | undefined {
  const wanted = name.toLowerCase();
  const entries = parseFolder(folder.bytes);
  return (
    entries.find((entry) => entry.name.toLowerCase() === wanted) ??
    entries.find((entry) => readShortName(entry.short).toLowerCase() === wanted)
  );
}

function notAFile(path: string): Failure {
  return pathTaken(`${path} on the boot partition is a folder`);
}

function notAFolder(path: string): Failure {
  return pathTaken(`${path} on the boot partition is a file, not a folder`);
}

function pathTaken(message: string): Failure {
  return new Failure('refused', 'boot-path-taken', message, {
    hint: 'Remove it from the boot partition of the image, for example with mtools, or get the image again',
  });
}
