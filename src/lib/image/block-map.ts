import { extFreeSpace } from './ext-allocation.js';
import { fatFreeSpace } from './fat-allocation.js';
import { partitionLayout } from './partition-layout.js';
import type { ByteRange, Partition } from './partition-table.js';
import { UnusedRanges } from './unused-ranges.js';

/**
 * A parser that asks for the ranges of an image it needs, one after the other, and is given their bytes, or undefined for a range that
 * does not exist or that has already gone by. It asks in the order in which the ranges lie, as far as the format allows.
 */
export type RangeParser<Result = void> = Generator<ByteRange, Result, Buffer | undefined>;

/** Runs of unused bytes shorter than this are written all the same: one longer request costs less than two short ones. */
const shortestGap = 64 * 1024;

/** The first bytes of an image hold its partition table and often a boot loader, wherever the first partition may begin. */
const alwaysUsed = 1024 * 1024;

/** Runs begin and end at multiples of this, so that they can be written to any drive past its cache. */
const runAlignment = 4096;

/**
 * Learns which bytes of an image matter, from its partition table and the allocation bitmaps of its file systems. It says which ranges
 * it wants next and can be fed by a stream as it flows by (`pass`) or by random reads (`answer`). When in doubt a byte matters:
 * bytes outside partitions, file systems that are unknown, unclean or not understood, and whatever a bitmap has not arrived for.
 * Only allocation tells; a block of zeros that is allocated matters, because the drive may hold something else there.
 */
export class BlockMap {
  /** Partitions found so far. */
  readonly partitions: Partition[] = [];
  #kind: 'gpt' | 'mbr' | 'none' | undefined;
  readonly #unused: UnusedRanges[] = [];
  readonly #waiting: WaitingParser[] = [];
  #position = 0;

  constructor() {
    this.#start(this.#learnLayout());
  }

  /** The kind of partition table; `none` where there is none, undefined while that is not known. */
  get kind(): 'gpt' | 'mbr' | 'none' | undefined {
    return this.#kind;
  }

  /** The end of the last partition found so far; an image that is shorter is truncated. */
  get partitionsEnd(): number {
    return Math.max(0, ...this.partitions.map((one) => one.start + one.size));
  }

  /** Bytes passed so far. */
  get bytesPassed(): number {
    return this.#position;
  }

  /** The range that is wanted next, for feeding by random reads. */
  get wanted(): ByteRange | undefined {
    const [first, ...rest] = this.#waiting;
    if (first === undefined) return undefined;
    return rest.reduce((lowest, one) => (one.wanted.start < lowest.start ? one.wanted : lowest), first.wanted);
  }

  /** Gives the bytes of the range that `wanted` named, or undefined when the image does not have them. */
  answer(bytes: Buffer | undefined): void {
    const { wanted } = this;
    const parser = this.#waiting.find((one) => one.wanted === wanted);
    if (parser !== undefined) this.#resume(parser, bytes);
  }

  /** Feeds the next bytes of the image; they must follow those passed before. */
  pass(bytes: Buffer): void {
    const start = this.#position;
    const end = start + bytes.length;
    // A parser that got its range may want another in the same bytes, and may have started more parsers.
    for (let parser = this.#servable(end); parser !== undefined; parser = this.#servable(end)) {
      const next = parser.wanted.start + parser.collected;
      if (next < start) {
        this.#resume(parser, undefined);
        continue;
      }
      const wantedEnd = parser.wanted.start + parser.wanted.size;
      const piece = bytes.subarray(next - start, Math.min(wantedEnd, end) - start);
      parser.pieces.push(wantedEnd <= end ? piece : Buffer.from(piece));
      parser.collected += piece.length;
      if (parser.collected === parser.wanted.size) this.#resume(parser, Buffer.concat(parser.pieces));
    }
    this.#position = end;
  }

  /** The runs of bytes that matter between two aligned offsets (or the image's end), sorted, as far as is known now. */
  usedWithin(start: number, end: number): ByteRange[] {
    const used: ByteRange[] = [];
    let at = start;
    const unused = this.#unused
      .flatMap((ranges) => ranges.within(Math.max(start, alwaysUsed), end))
      .sort((a, b) => a.start - b.start);
    for (const gap of unused) {
      const gapStart = gap.start <= start ? start : Math.ceil(gap.start / runAlignment) * runAlignment;
      const gapEnd = gap.start + gap.size;
      const next = gapEnd >= end ? end : Math.floor(gapEnd / runAlignment) * runAlignment;
      // A short gap at the edge may be part of a longer one.
      if (next - gapStart < shortestGap && gapStart > start && next < end) continue;
      if (gapStart > at) used.push({ start: at, size: gapStart - at });
      at = Math.max(at, next);
    }
    if (end > at) used.push({ start: at, size: end - at });
    return used;
  }

  *#learnLayout(): RangeParser {
    this.#kind = yield* partitionLayout((partition) => {
      this.#addPartition(partition);
    });
  }

  #addPartition(partition: Partition): void {
    const overlaps = (other: ByteRange) =>
      other.start < partition.start + partition.size && partition.start < other.start + other.size;
    const overlapping = this.partitions.filter(overlaps);
    this.partitions.push(partition);
    if (overlapping.length > 0) {
      // What is unused in one may be used in the other.
      for (const ranges of this.#unused) if (overlapping.some((one) => one.start === ranges.start)) ranges.discard();
      return;
    }
    const unused = new UnusedRanges(partition.start);
    this.#unused.push(unused);
    this.#start(freeSpace(partition, unused.add));
  }

  #start(parser: RangeParser): void {
    const first = parser.next();
    if (first.done !== true) this.#waiting.push(new WaitingParser(parser, first.value));
  }

  #resume(waiting: WaitingParser, bytes: Buffer | undefined): void {
    this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
    const next = waiting.parser.next(bytes);
    if (next.done !== true) this.#waiting.push(new WaitingParser(waiting.parser, next.value));
  }

  /** A parser whose wanted range begins, or goes on, in these bytes or before them. */
  #servable(end: number): WaitingParser | undefined {
    return this.#waiting.find(({ wanted, collected }) => wanted.start + collected < end);
  }
}

/** Tells the unused space of a partition by whichever file system it holds. */
function* freeSpace(partition: ByteRange, found: (range: ByteRange) => void): RangeParser {
  if (yield* fatFreeSpace(partition, found)) return;
  yield* extFreeSpace(partition, found);
}

class WaitingParser {
  readonly parser: RangeParser;
  readonly wanted: ByteRange;
  readonly pieces: Buffer[] = [];
  collected = 0;

  constructor(parser: RangeParser, wanted: ByteRange) {
    this.parser = parser;
    this.wanted = wanted;
  }
}
