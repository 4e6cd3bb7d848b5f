import type { BlockReader } from './block-file.js';

const footerSize = 12;
const headerSize = 12;
/** An index has a few bytes for each block; one larger than this is not worth reading for a size. */
const largestIndex = 16 * 1024 * 1024;

/**
 * Bytes that an xz file holds uncompressed, from the index at the end of each of its streams (xz file format 1.2, sections 2.1.2 and
 * 4), or undefined when the file is damaged; decoding will then say so.
 */
export async function xzUncompressedSize(file: BlockReader): Promise<number | undefined> {
  let end = file.size;
  let total = 0;
  while (end > 0) {
    if (end < headerSize + footerSize) return undefined;
    const footer = await file.read(end - footerSize, footerSize);
    if (footer.equals(Buffer.alloc(footerSize)) || footer.readUInt32LE(8) === 0) {
      // Padding between streams comes in multiples of four zero bytes.
      end -= 4;
      continue;
    }
    if (footer.toString('latin1', 10) !== 'YZ') return undefined;
    const indexSize = (footer.readUInt32LE(4) + 1) * 4;
    const indexAt = end - footerSize - indexSize;
    if (indexSize > largestIndex || indexAt < headerSize) return undefined;
    const blocks = parseIndex(await file.read(indexAt, indexSize));
    if (blocks === undefined) return undefined;
    total += blocks.uncompressed;
    end = indexAt - blocks.compressed - headerSize;
  }
  return end === 0 ? total : undefined;
}

function parseIndex(index: Buffer): { readonly compressed: number; readonly uncompressed: number } | undefined {
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
  let compressed = 0;
  let uncompressed = 0;
  for (let block = 0; block < count; block += 1) {
    compressed += Math.ceil(next() / 4) * 4;
    uncompressed += next();
  }
  return Number.isFinite(compressed + uncompressed + count) ? { compressed, uncompressed } : undefined;
}
