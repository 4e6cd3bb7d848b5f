import { crc32 } from 'node:zlib';
import { archiveCorrupt } from './archive-corrupt.js';
import { ChunkStream } from './chunk-stream.js';
import { decodeBzip2 } from './decode-bzip2.js';
import type { DecodeOptions } from './decode-options.js';
import { decodeXz } from './decode-xz.js';
import { decodeZstd } from './decode-zstd.js';
import { inflate } from './inflate.js';
import type { ZipEntry, ZipMethod } from './zip-image.js';

type Decoder = (packed: AsyncIterable<Buffer>, options: DecodeOptions) => AsyncIterable<Buffer>;

const decoders: Readonly<Record<ZipMethod, Decoder>> = {
  stored: (packed) => packed,
  deflated: (packed, options) => inflate(new ChunkStream(packed), options),
  bzip2: decodeBzip2,
  zstd: decodeZstd,
  xz: decodeXz,
};

/** Unpacks one entry of a zip from its packed bytes, and checks its size and checksum. */
export async function* decodeZipEntry(
  packed: AsyncIterable<Buffer>,
  entry: ZipEntry,
  options: DecodeOptions,
): AsyncGenerator<Buffer> {
  let checksum = 0;
  let size = 0;
  for await (const chunk of decoders[entry.method](packed, options)) {
    checksum = crc32(chunk, checksum);
    size += chunk.length;
    if (size > entry.unpackedSize) break;
    yield chunk;
  }
  if (size !== entry.unpackedSize) {
    const what = size > entry.unpackedSize ? 'more' : 'fewer';
    throw archiveCorrupt(options.name, `${entry.name} has ${what} than the ${entry.unpackedSize} bytes that it states`);
  }
  if (checksum !== entry.crc32) throw archiveCorrupt(options.name, `the checksum of ${entry.name} does not match`);
}
