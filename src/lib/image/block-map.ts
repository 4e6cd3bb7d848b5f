import { headSize, recogniseFileSystem, type WhyAllUsed } from './file-systems.js';
import { partitionLayout } from './partition-layout.js';
import { type ByteRange, overlap, type Partition } from './partition-table.js';
import { RangeFeed, type RangeParser, shifted } from './range-feed.js';
import { SortedRanges } from './sorted-ranges.js';

/** Runs of unused bytes shorter than this are written all the same: one longer request costs less than two short ones. */
const shortestGap = 64 * 1024;

/** The first bytes of an image hold its partition table and often a boot loader, wherever the first partition may begin. */
const alwaysUsed = 1024 * 1024;

/** Runs begin and end at multiples of this, so that they can be written to any drive past its cache. */
const runAlignment = 4096;

/** What is known of the space of a partition. */
export interface PartitionSpace {
  readonly partition: Partition;
  /** What it holds, as far as that is known. */
  readonly fileSystem: string | undefined;
  /** Why every byte of it matters, where that is so. */
  readonly whyAllUsed: WhyAllUsed | undefined;
}

/**
 * Learns which bytes of an image matter, from its partition table and the allocation bitmaps of its file systems. It says which ranges
 * it wants next and can be fed by a stream as it flows by (`pass`) or by random reads (`answer`). When in doubt a byte matters:
 * bytes outside partitions, file systems that are unknown, unclean or not understood, and whatever a bitmap has not arrived for.
 * Only allocation tells; a block of zeros that is allocated matters, because the drive may hold something else there.
 */
export class BlockMap {
  #kind: 'gpt' | 'mbr' | 'none' | undefined;
  readonly #spaces: LearntSpace[] = [];
  /** Where partition tables and partitions lie; what claims the same bytes as another is all used. */
  readonly #claims: ByteRange[] = [];
  readonly #feed = new RangeFeed();

  constructor() {
    this.#feed.start(this.#learnLayout());
  }

  /** The kind of partition table; `none` where there is none, undefined while that is not known. */
  get kind(): 'gpt' | 'mbr' | 'none' | undefined {
    return this.#kind;
  }

  /** Partitions found so far. */
  get partitions(): readonly Partition[] {
    return this.#spaces.map((space) => space.partition);
  }

  /** What is known so far of the space of each partition. */
  get spaces(): readonly PartitionSpace[] {
    return this.#spaces;
  }

  /** The end of the last partition found so far; an image that is shorter is truncated. */
  get partitionsEnd(): number {
    return Math.max(0, ...this.#spaces.map(({ partition }) => partition.start + partition.size));
  }

  /** Bytes passed so far. */
  get bytesPassed(): number {
    return this.#feed.position;
  }

  /** The range that is wanted next, for feeding by random reads. */
  get wanted(): ByteRange | undefined {
    return this.#feed.wanted;
  }

  /** Gives the bytes of the range that `wanted` named, or undefined when the image does not have them. */
  answer(bytes: Buffer | undefined): void {
    this.#feed.answer(bytes);
  }

  /** Feeds the next bytes of the image; they must follow those passed before. */
  pass(bytes: Buffer): void {
    this.#feed.pass(bytes);
  }

  /** The runs of bytes that matter between two aligned offsets (or the image's end), sorted, as far as is known now. */
  usedWithin(start: number, end: number): ByteRange[] {
    const used: ByteRange[] = [];
    let at = start;
    const unused = this.#spaces
      .flatMap((space) => space.unused.within(Math.max(start, alwaysUsed), end))
      .sort((a, b) => a.start - b.start);
    for (const gap of unused) {
      const gapStart = gap.start <= start ? start : Math.min(end, Math.ceil(gap.start / runAlignment) * runAlignment);
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
    const layout = partitionLayout((partition) => {
      this.#addPartition(partition);
    });
    let step = layout.next();
    while (step.done !== true) {
      this.#claim(step.value);
      step = layout.next(yield step.value);
    }
    this.#kind = step.value;
  }

  #addPartition(partition: Partition): void {
    const space = new LearntSpace(partition);
    if (this.#claim(partition)) this.#feed.start(shifted(space.learn(), partition.start));
    else space.discard('overlaps');
    this.#spaces.push(space);
  }

  /** Notes that a range is taken; returns whether nobody else has a claim to any of it. What is unused in one may be used in the other. */
  #claim(range: ByteRange): boolean {
    for (const space of this.#spaces) if (overlap(space.partition, range)) space.discard('overlaps');
    const isFree = !this.#claims.some((other) => overlap(other, range));
    this.#claims.push(range);
    return isFree;
  }
}

/** What is learnt of the space of a partition as its bytes come. */
class LearntSpace implements PartitionSpace {
  readonly partition: Partition;
  readonly unused = new SortedRanges();
  #fileSystem: string | undefined;
  #whyAllUsed: WhyAllUsed | undefined = 'unseen';

  constructor(partition: Partition) {
    this.partition = partition;
  }

  get fileSystem(): string | undefined {
    return this.#fileSystem;
  }

  get whyAllUsed(): WhyAllUsed | undefined {
    return this.#whyAllUsed;
  }

  /** Makes all of it used, now and later. The first reason stays. */
  discard(why: WhyAllUsed): void {
    if (this.unused.isDiscarded) return;
    this.unused.discard();
    this.#whyAllUsed = why;
  }

  /** Looks at its first bytes, and finds out what is unused by what they say it holds. */
  *learn(): RangeParser {
    const { start, size } = this.partition;
    const add = (range: ByteRange) => {
      this.unused.add({ start: start + range.start, size: range.size });
    };
    const head = yield { start: 0, size: Math.min(size, headSize) };
    const fileSystem = head === undefined ? 'unseen' : recogniseFileSystem(head, size);
    if (typeof fileSystem === 'string') {
      this.discard(fileSystem);
      return;
    }
    const { name, unused } = fileSystem;
    this.#fileSystem = name;
    if (!this.unused.isDiscarded) this.#whyAllUsed = undefined;
    const found = typeof unused === 'function' ? yield* unused(add) : unused;
    if (typeof found === 'string') this.discard(found);
    else found?.forEach(add);
  }
}
