import { skippableFrameSize } from './source-format.js';

/** The header of a Zstandard frame (RFC 8878, 3.1.1.1). */
export interface ZstdHeader {
  /** Bytes of the header, its magic number among them. */
  readonly size: number;
  /** Bytes that a decoder has to look back. */
  readonly windowSize: number;
  /** Bytes that the frame holds, where it says. */
  readonly contentSize: number | undefined;
  readonly hasChecksum: boolean;
}

/** Reads the header of a frame; undefined when these bytes are none, or too few. */
export function parseZstdHeader(head: Buffer): ZstdHeader | undefined {
  const descriptor = head[4];
  if (descriptor === undefined || head.readUInt32LE(0) !== 0xfd2fb528) return undefined;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const windowBytes = isSingleSegment ? 0 : 1;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const at = 5 + windowBytes + dictionaryBytes;
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  const size = at + sizeBytes;
  if (head.length < size) return undefined;
  const contentSize = readContentSize(head, at, sizeBytes);
  const exponent = isSingleSegment ? 0 : head.readUInt8(5);
  const windowSize = isSingleSegment ? (contentSize ?? 0) : 2 ** (10 + (exponent >> 3)) * (1 + (exponent & 7) / 8);
  return { size, windowSize, contentSize, hasChecksum: (descriptor & 4) !== 0 };
}

function readContentSize(head: Buffer, at: number, bytes: number): number | undefined {
  switch (bytes) {
    case 0:
      return undefined;
    case 1:
      return head.readUInt8(at);
    case 2:
      // Two bytes count from 256, because one byte holds less.
      return head.readUInt16LE(at) + 256;
    case 4:
      return head.readUInt32LE(at);
    default:
      return Number(head.readBigUInt64LE(at));
  }
}

/** Bytes that the first frame of a Zstandard file holds, where it says. More frames may follow, so an image has at least this size. */
export function zstdContentSize(head: Buffer): number | undefined {
  const skipped = skippableFrameSize(head);
  return skipped === undefined ? parseZstdHeader(head)?.contentSize : zstdContentSize(head.subarray(skipped));
}
