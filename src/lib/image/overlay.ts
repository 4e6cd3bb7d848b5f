import type { BlockReader, BlockWriter } from './block-file.js';

/** Bytes that are to replace those at `offset`. */
export interface ChangedRange {
  readonly offset: number;
  readonly data: Buffer;
}

/** Changes to an image: sorted, apart from each other, in whole sectors. */
export type ChangedRanges = readonly ChangedRange[];

/** Changes in the order in which they are to reach a medium, and what is there before. */
export interface StagedChanges {
  readonly before: ChangedRanges;
  /** Each may be begun when the one before it is there. */
  readonly stages: readonly ChangedRanges[];
}

/**
 * What a write to a file system does, in the order in which writes may reach a medium that can be taken away at any moment: content where
 * nothing is, links that keep that from being free, the growth of folders by it, and one sector after the other of the names that lead to it.
 */
export type WriteStage = 'content' | 'links' | 'growth' | 'names';

/** Something that is changed in stages. What belongs to none of them comes last. */
export interface StagedWriter {
  write(offset: number, data: Uint8Array, stage?: WriteStage): Promise<void>;
}

/** The smallest sector of any medium, which is written whole or not at all. */
export const sectorSize = 512;

type Sectors = Map<number, Buffer>;

/** Larger pieces are read once anyway, such as an allocation table. */
const largestRemembered = 256 * 1024;

/**
 * Changes held in memory over something that is only read, and stays as it is, so that they can be looked at, applied to a copy, or laid over a
 * stream.
 */
export class Overlay implements BlockReader, StagedWriter {
  readonly size: number;
  readonly #below: BlockReader;
  /** What was read of it: folders are looked into again and again. */
  readonly #original: Sectors = new Map();
  readonly #sectors: Sectors = new Map();
  readonly #content: Sectors = new Map();
  readonly #links: Sectors = new Map();
  readonly #growth: Sectors = new Map();
  readonly #names: { readonly sector: number; data: Buffer }[] = [];

  constructor(below: BlockReader) {
    this.#below = below;
    this.size = below.size;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const first = Math.floor(offset / sectorSize);
    const end = Math.ceil((offset + length) / sectorSize);
    const isRemembered = length <= largestRemembered;
    if (isRemembered) await this.#look(first, end);
    const data = isRemembered ? Buffer.allocUnsafe(length) : await this.#below.read(offset, length);
    for (let sector = first; sector < end; sector += 1) {
      const content = this.#sectors.get(sector) ?? (isRemembered ? this.#original.get(sector) : undefined);
      if (content !== undefined) layOver(data, offset, content, sector * sectorSize);
    }
    return data;
  }

  async write(offset: number, data: Uint8Array, stage?: WriteStage): Promise<void> {
    if (data.length === 0) return;
    const first = Math.floor(offset / sectorSize);
    const end = Math.min(Math.ceil((offset + data.length) / sectorSize) * sectorSize, this.size);
    const span = await this.read(first * sectorSize, end - first * sectorSize);
    span.set(data, offset - first * sectorSize);
    for (let at = 0; at < span.length; at += sectorSize) {
      this.#writeSector(first + at / sectorSize, span.subarray(at, at + sectorSize), stage);
    }
  }

  /**
   * The sectors that differ from what is below; one that was written with the bytes it had is not among them.
   *
   * @param base added to every offset: where a partition starts on its disk
   */
  async changes(base = 0): Promise<ChangedRanges> {
    return rangesOf(differing(await this.#originalOfChanged(), this.#sectors), base);
  }

  /** The same changes in the order in which they are to reach a medium. */
  async staged(base = 0): Promise<StagedChanges> {
    const original = await this.#originalOfChanged();
    const state = new Map(original);
    const names = this.#names.map(({ sector, data }) => new Map([[sector, data]]));
    const stages = [this.#content, this.#links, this.#growth, ...names, this.#sectors].map((wanted) => {
      const changed = differing(state, wanted);
      for (const [sector, data] of changed) state.set(sector, data);
      return changed;
    });
    const touched = new Set(stages.flatMap((stage) => [...stage.keys()]));
    return {
      before: rangesOf(new Map([...original].filter(([sector]) => touched.has(sector))), base),
      stages: stages.filter((stage) => stage.size > 0).map((stage) => rangesOf(stage, base)),
    };
  }

  #writeSector(sector: number, data: Buffer, stage: WriteStage | undefined): void {
    this.#sectors.set(sector, data);
    if (stage === 'content') this.#content.set(sector, data);
    if (stage === 'links') this.#links.set(sector, data);
    if (stage === 'growth') this.#growth.set(sector, data);
    if (stage !== 'names') return;
    const last = this.#names.at(-1);
    if (last?.sector === sector) last.data = data;
    else this.#names.push({ sector, data });
  }

  /** What is below all that was written. */
  async #originalOfChanged(): Promise<Sectors> {
    for (const { start, end } of runsOf(this.#sectors)) await this.#look(start, end);
    return new Map([...this.#original].filter(([sector]) => this.#sectors.has(sector)));
  }

  /** Reads what is below, unless it was read already. */
  async #look(first: number, end: number): Promise<void> {
    let isKnown = true;
    for (let sector = first; sector < end; sector += 1) isKnown &&= this.#original.has(sector);
    if (isKnown) return;
    const at = first * sectorSize;
    const data = await this.#below.read(at, Math.min(end * sectorSize, this.size) - at);
    for (let sector = first; sector < end; sector += 1) {
      this.#original.set(sector, data.subarray(sector * sectorSize - at, (sector + 1) * sectorSize - at));
    }
  }
}

function differing(state: Sectors, wanted: Sectors): Sectors {
  return new Map([...wanted].filter(([sector, data]) => state.get(sector)?.equals(data) !== true));
}

/** Neighbouring sectors, in order. */
function runsOf(sectors: Sectors): { readonly start: number; readonly end: number }[] {
  const runs: { start: number; end: number }[] = [];
  for (const sector of [...sectors.keys()].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last?.end === sector) last.end += 1;
    else runs.push({ start: sector, end: sector + 1 });
  }
  return runs;
}

function rangesOf(sectors: Sectors, base: number): ChangedRanges {
  return runsOf(sectors).map(({ start, end }) => {
    const parts = Array.from({ length: end - start }, (_, index) => sectors.get(start + index) ?? Buffer.alloc(0));
    return { offset: base + start * sectorSize, data: Buffer.concat(parts) };
  });
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
