import zlib from 'node:zlib';
import { decodedChunkSize, type DecodeOptions, decodeWithTransform } from './decode-with-transform.js';

/** Decodes gzip, all members of it. Node's zlib uses SIMD and is several times as fast as the gzip program. */
export function decodeGzip(input: AsyncIterable<Buffer>, options: DecodeOptions): AsyncGenerator<Buffer> {
  return decodeWithTransform(input, zlib.createGunzip({ chunkSize: decodedChunkSize }), options);
}
