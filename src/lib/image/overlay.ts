import type { BlockReader, BlockWriter } from './block-file.js';

/** Bytes that are to replace those at `offset`. */
interface ChangedRange {
  readonly offset: number;
  readonly data: Buffer;
}

/** Changes to an image: sorted, apart from each other, in whole sectors. */
export type ChangedRanges = readonly ChangedRange[];

const sectorSize = 512;

/** Changes held in memory over something that is only read, so that they can be looked at, applied to a copy, or laid over a stream. */
export class Overlay implements BlockReader, BlockWriter {
  readonly size: number;
  readonly #below: BlockReader;
  readonly #sectors = new Map<number, Buffer>();

  constructor(below: BlockReader) {
    this.#below = below;
    this.size = below.size;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const data = await this.#below.read(offset, length);
    if (this.#sectors.size === 0) return data;
    const last = Math.floor((offset + length - 1) / sectorSize);
    for (let sector = Math.floor(offset / sectorSize); sector <= last; sector += 1) {
      const changed = this.#sectors.get(sector);
      if (changed !== undefined) layOver(data, offset, changed, sector * sectorSize);
    }
    return data;
  }

  async write(offset: number, data: Uint8Array): Promise<void> {
    if (data.length === 0) return;
    const first = Math.floor(offset / sectorSize);
    const end = Math.min(Math.ceil((offset + data.length) / sectorSize) * sectorSize, this.size);
    const span = await this.read(first * sectorSize, end - first * sectorSize);
    span.set(data, offset - first * sectorSize);
    for (let at = 0; at < span.length; at += sectorSize) {
      this.#sectors.set(first + at / sectorSize, span.subarray(at, at + sectorSize));
    }
  }

  /**
   * The sectors that differ from what is below; one that was written with the bytes it had is not among them.
   *
   * @param base added to every offset: where a partition starts on its disk
   */
  async changes(base = 0): Promise<ChangedRanges> {
    const ranges: { offset: number; parts: Buffer[]; end: number }[] = [];
    for (const [sector, data] of [...this.#sectors].sort(([a], [b]) => a - b)) {
      const offset = sector * sectorSize;
      if (data.equals(await this.#below.read(offset, data.length))) continue;
      const last = ranges.at(-1);
      if (last?.end === offset) {
        last.parts.push(data);
        last.end += data.length;
      } else ranges.push({ offset, parts: [data], end: offset + data.length });
    }
    return ranges.map(({ offset, parts }) => ({ offset: base + offset, data: Buffer.concat(parts) }));
  }
}

/** Writes changes into a file or drive. */
export async function applyChanges(writer: BlockWriter, changes: ChangedRanges): Promise<void> {
  for (const { offset, data } of changes) await writer.write(offset, data);
}

/** Lays changes over a chunk of a stream, in place; `chunkOffset` is where the chunk lies in the image. */
export function layChangesOver(chunk: Buffer, chunkOffset: number, changes: ChangedRanges): void {
  for (const { offset, data } of changes) {
    if (offset >= chunkOffset + chunk.length) return;
    layOver(chunk, chunkOffset, data, offset);
  }
}

/** Copies the part of `source` that falls into `target`; both offsets are from the start of the same image. */
function layOver(target: Buffer, targetOffset: number, source: Buffer, sourceOffset: number): void {
  const from = Math.max(targetOffset, sourceOffset);
  const to = Math.min(targetOffset + target.length, sourceOffset + source.length);
  if (from < to) source.copy(target, from - targetOffset, from - sourceOffset, to - sourceOffset);
}
