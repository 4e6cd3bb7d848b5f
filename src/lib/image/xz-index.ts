import type { BlockReader } from './block-file.js';

const footerSize = 12;
const headerSize = 12;
/** An index has a few bytes for each block; one larger than this is not worth reading. */
const largestIndex = 16 * 1024 * 1024;

/** A block of an xz file, which can be unpacked by itself. */
export interface XzBlock {
  readonly start: number;
  /** Packed bytes without padding, as the index counts them. */
  readonly unpaddedSize: number;
  readonly unpackedSize: number;
  /** The two bytes of the stream's header that say how its content is checked. */
  readonly flags: Buffer;
}

/**
 * The blocks of an xz file, from the index at the end of each of its streams (xz file format 1.2, sections 2.1.2 and 4), or undefined when
 * the file is damaged; decoding will then say so.
 */
export async function readXzBlocks(file: BlockReader): Promise<readonly XzBlock[] | undefined> {
  const streams: XzBlock[][] = [];
  let end = file.size;
  while (end > 0) {
    if (end < headerSize + footerSize) return undefined;
    const footer = await file.read(end - footerSize, footerSize);
    if (footer.readUInt32LE(8) === 0) {
      // Padding between streams comes in multiples of four zero bytes.
      end -= 4;
      continue;
    }
    if (footer.toString('latin1', 10) !== 'YZ') return undefined;
    const indexSize = (footer.readUInt32LE(4) + 1) * 4;
    const indexAt = end - footerSize - indexSize;
    if (indexSize > largestIndex || indexAt < headerSize) return undefined;
    const sizes = parseIndex(await file.read(indexAt, indexSize));
    if (sizes === undefined) return undefined;
    let start = indexAt - sizes.reduce((sum, one) => sum + padded(one.unpaddedSize), 0);
    end = start - headerSize;
    const blocks: XzBlock[] = [];
    for (const size of sizes) {
      blocks.push({ start, ...size, flags: footer.subarray(8, 10) });
      start += padded(size.unpaddedSize);
    }
    streams.push(blocks);
  }
  return end === 0 ? streams.reverse().flat() : undefined;
}

/** Bytes that blocks hold unpacked. */
export function unpackedXzSize(blocks: readonly XzBlock[]): number {
  return blocks.reduce((sum, block) => sum + block.unpackedSize, 0);
}

/** The size of a block with the zeros that make it a multiple of four. */
export function padded(size: number): number {
  return Math.ceil(size / 4) * 4;
}

function parseIndex(index: Buffer): Pick<XzBlock, 'unpaddedSize' | 'unpackedSize'>[] | undefined {
  let at = 1;
  /** Seven bits in each byte, lowest first; the top bit says that more follow. */
  const next = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = index[at++];
      if (byte === undefined) return Number.NaN;
      value += (byte & 0x7f) * factor;
      if ((byte & 0x80) === 0) return value;
    }
  };
  if (index[0] !== 0) return undefined;
  const count = next();
  const sizes: Pick<XzBlock, 'unpaddedSize' | 'unpackedSize'>[] = [];
  for (let block = 0; block < count; block += 1) {
    const size = { unpaddedSize: next(), unpackedSize: next() };
    if (!Number.isSafeInteger(size.unpaddedSize + size.unpackedSize) || size.unpaddedSize === 0) return undefined;
    sizes.push(size);
  }
  return sizes;
}
