import type { ByteRange } from './partition-table.js';

/**
 * A parser that asks for the ranges of an image it needs, one after the other, and is given their bytes, or undefined for a range that
 * does not exist or that has already gone by. It asks in the order in which the ranges lie, as far as the format allows; a range may
 * begin within the one that it was given last.
 */
export type RangeParser<Result = void> = Generator<ByteRange, Result, Buffer | undefined>;

/**
 * What a parser may ask for at once; larger ranges count as not there. Damage must not make a stream collect itself in memory. It is enough for
 * the group descriptors of an ext4 of 8 TiB.
 */
const largestRange = 4 * 1024 * 1024;

/** A parser whose ranges count from `offset` of what it is fed from. */
export function* shifted<Result>(parser: RangeParser<Result>, offset: number): RangeParser<Result> {
  let step = parser.next();
  while (step.done !== true) {
    step = parser.next(yield { start: step.value.start + offset, size: step.value.size });
  }
  return step.value;
}

/** Feeds any number of parsers from one image, either by a stream as it flows by (`pass`) or by random reads (`answer`). */
export class RangeFeed {
  readonly #waiting: WaitingParser[] = [];
  #position = 0;

  /** Bytes passed so far. */
  get position(): number {
    return this.#position;
  }

  /** The range that is wanted next, for feeding by random reads. */
  get wanted(): ByteRange | undefined {
    const [first, ...rest] = this.#waiting;
    if (first === undefined) return undefined;
    return rest.reduce((lowest, one) => (one.wanted.start < lowest.start ? one.wanted : lowest), first.wanted);
  }

  /** Begins to feed a parser. */
  start(parser: RangeParser): void {
    this.#proceed(parser, parser.next(), { start: 0, bytes: Buffer.alloc(0) });
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

  #resume(waiting: WaitingParser, bytes: Buffer | undefined): void {
    this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
    this.#proceed(waiting.parser, waiting.parser.next(bytes), {
      start: waiting.wanted.start,
      bytes: bytes ?? Buffer.alloc(0),
    });
  }

  /** Lets a parser wait for what it wants next, unless it had that within what it was given last. */
  #proceed(parser: RangeParser, first: IteratorResult<ByteRange, void>, last: GivenRange): void {
    let step = first;
    while (step.done !== true) {
      const { start, size } = step.value;
      if (size > largestRange) {
        step = parser.next(undefined);
        continue;
      }
      const known = start < last.start ? Buffer.alloc(0) : last.bytes.subarray(start - last.start);
      if (known.length < size) {
        this.#waiting.push(new WaitingParser(parser, step.value, known));
        return;
      }
      step = parser.next(known.subarray(0, size));
    }
  }

  /** A parser whose wanted range begins, or goes on, in these bytes or before them. */
  #servable(end: number): WaitingParser | undefined {
    return this.#waiting.find(({ wanted, collected }) => wanted.start + collected < end);
  }
}

interface GivenRange {
  readonly start: number;
  readonly bytes: Buffer;
}

class WaitingParser {
  readonly parser: RangeParser;
  readonly wanted: ByteRange;
  readonly pieces: Buffer[];
  collected: number;

  constructor(parser: RangeParser, wanted: ByteRange, known: Buffer) {
    this.parser = parser;
    this.wanted = wanted;
    this.pieces = [known];
    this.collected = known.length;
  }
}
