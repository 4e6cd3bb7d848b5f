import type { ByteRange } from '../image/partition-table.js';

/**
 * What is compared and written as one: small enough that a small change is a small write, and large enough that cards write it nearly as
 * fast as anything.
 */
const pieceSize = 256 * 1024;

/** The ranges of some bytes that differ from those that were found, in whole pieces, neighbours joined. What was not found differs. */
export function differingRanges(wanted: Uint8Array, found: Uint8Array): ByteRange[] {
  const ranges: { start: number; size: number }[] = [];
  for (let start = 0; start < wanted.length; start += pieceSize) {
    const piece = wanted.subarray(start, start + pieceSize);
    if (Buffer.compare(piece, found.subarray(start, start + pieceSize)) === 0) continue;
    const last = ranges.at(-1);
    if (last !== undefined && last.start + last.size === start) last.size += piece.length;
    else ranges.push({ start, size: piece.length });
  }
  return ranges;
}
