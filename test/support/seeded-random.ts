/** Random but repeatable values: the same seed gives the same sequence. */
export interface SeededRandom {
  /** A whole number from 0 up to, and without, `limit`. */
  below(limit: number): number;
  bytes(length: number): Buffer;
  pick<T>(from: readonly T[]): T;
}

/** Mulberry32, which is small, fast and good enough for tests. */
export function seededRandom(seed: number): SeededRandom {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const below = (limit: number) => Math.floor((next() / 0x1_0000_0000) * limit);
  return {
    below,
    bytes: (length) => {
      const buffer = Buffer.allocUnsafe(Math.ceil(length / 4) * 4);
      for (let at = 0; at < buffer.length; at += 4) buffer.writeUInt32LE(next(), at);
      return buffer.subarray(0, length);
    },
    pick: (from) => {
      const value = from[below(from.length)];
      if (value === undefined) throw new Error('nothing to pick from');
      return value;
    },
  };
}
