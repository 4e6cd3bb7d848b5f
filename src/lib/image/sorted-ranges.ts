import type { ByteRange } from './partition-table.js';

/** Ranges of bytes in order, neighbours joined. */
export class SortedRanges {
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  #discarded = false;

  /** Adds a range that lies behind all others. */
  readonly add = ({ start, size }: ByteRange): void => {
    if (size <= 0) return;
    if (this.#ends.at(-1) === start) this.#ends[this.#ends.length - 1] = start + size;
    else {
      this.#starts.push(start);
      this.#ends.push(start + size);
    }
  };

  get isDiscarded(): boolean {
    return this.#discarded;
  }

  /** Forgets all ranges, now and later. */
  discard(): void {
    this.#discarded = true;
  }

  /** The parts of the ranges that lie between two offsets. */
  within(start: number, end: number): ByteRange[] {
    if (this.#discarded) return [];
    const found: ByteRange[] = [];
    for (let index = this.#firstEndingAfter(start); index < this.#starts.length; index += 1) {
      const from = Math.max(start, this.#starts[index] ?? end);
      const to = Math.min(end, this.#ends[index] ?? start);
      if (from >= end) break;
      found.push({ start: from, size: to - from });
    }
    return found;
  }

  #firstEndingAfter(offset: number): number {
    let low = 0;
    let high = this.#ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ends[middle] ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
