import type { BlockReader } from '../../src/lib/image/block-file.js';
import type { ChangeableBlocks } from '../../src/lib/image/staged-changes.js';
import type { SeededRandom } from './seeded-random.js';

const sectorSize = 512;

/** Sectors by their number, over others. */
type Sectors = ReadonlyMap<number, Buffer>;

/** A disk in memory, made of another one and sectors over it. */
export class SectorDisk implements BlockReader {
  readonly #base: Buffer;
  readonly #over: Sectors;

  constructor(base: Buffer, over: Sectors = new Map()) {
    this.#base = base;
    this.#over = over;
  }

  get size(): number {
    return this.#base.length;
  }

  read(offset: number, length: number): Promise<Buffer> {
    const bytes = Buffer.from(this.#base.subarray(offset, offset + length));
    if (bytes.length < length) return Promise.reject(new Error('read behind the end'));
    for (let sector = Math.floor(offset / sectorSize); sector * sectorSize < offset + length; sector += 1) {
      const changed = this.#over.get(sector);
      if (changed === undefined) continue;
      const at = sector * sectorSize - offset;
      changed.copy(bytes, Math.max(0, at), Math.max(0, -at));
    }
    return Promise.resolve(bytes);
  }

  /** All its bytes. */
  whole(): Buffer {
    const bytes = Buffer.from(this.#base);
    for (const [sector, data] of this.#over) data.copy(bytes, sector * sectorSize);
    return bytes;
  }
}

/** A disk that remembers which sectors were written between which flushes. */
export class RecordingDisk implements ChangeableBlocks {
  readonly #base: Buffer;
  readonly #now = new Map<number, Buffer>();
  /** The writes, in order, up to each flush; the last ones were not flushed. */
  readonly #epochs: (readonly [number, Buffer])[][] = [[]];

  constructor(base: Buffer) {
    this.#base = base;
  }

  get size(): number {
    return this.#base.length;
  }

  read(offset: number, length: number): Promise<Buffer> {
    return new SectorDisk(this.#base, this.#now).read(offset, length);
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    const first = Math.floor(offset / sectorSize);
    const end = Math.ceil((offset + data.length) / sectorSize);
    const span = await this.read(first * sectorSize, (end - first) * sectorSize);
    span.set(data, offset - first * sectorSize);
    for (let sector = first; sector < end; sector += 1) {
      const bytes = span.subarray((sector - first) * sectorSize, (sector - first + 1) * sectorSize);
      this.#now.set(sector, bytes);
      this.#epochs.at(-1)?.push([sector, bytes]);
    }
  }

  sync(): Promise<void> {
    this.#epochs.push([]);
    return Promise.resolve();
  }

  /** How often it was flushed. */
  get flushes(): number {
    return this.#epochs.length - 1;
  }

  /** What it holds in the end. */
  end(): SectorDisk {
    return new SectorDisk(this.#base, new Map(this.#now));
  }

  /**
   * What it may hold after the power failed at any moment: all that was flushed, and of what was written since, what had been written up to a
   * moment, or any of it, because a disk writes what it was not told to flush in any order.
   *
   * @param most random choices between two flushes, where there are more than that
   */
  *afterPowerLoss(random: SeededRandom, most: number): Generator<SectorDisk> {
    const flushed = new Map<number, Buffer>();
    for (const epoch of this.#epochs) {
      for (let count = 0; count <= epoch.length; count += 1) yield this.#with(flushed, epoch.slice(0, count));
      const choices = 2 ** epoch.length;
      for (let round = 0; round < Math.min(most, choices); round += 1) {
        const chosen = choices <= most ? round : undefined;
        const arrived = epoch.filter((_, index) =>
          chosen === undefined ? random.below(2) === 1 : (chosen >> index) & 1,
        );
        yield this.#with(flushed, arrived);
      }
      for (const [sector, data] of epoch) flushed.set(sector, data);
    }
  }

  #with(flushed: Sectors, arrived: readonly (readonly [number, Buffer])[]): SectorDisk {
    return new SectorDisk(this.#base, new Map([...flushed, ...arrived]));
  }
}
