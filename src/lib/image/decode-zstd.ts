import zlib from 'node:zlib';
import { Failure } from '../failure/failure.js';
import { findProgram } from '../platform/child-process.js';
import { decodeInThread } from './decode-in-thread.js';
import { decodedChunkSize, type DecodeOptions } from './decode-options.js';
import { decodeWithTransform } from './decode-with-transform.js';
import { decodeWithProgram } from './decode-with-program.js';
import { zstdFrames } from './zstd-frames.js';

/** Decodes Zstandard with the zstd program, else with Node's own decoder, which it has from 22.15 on, else in WebAssembly. */
export async function* decodeZstd(input: AsyncIterable<Buffer>, options: DecodeOptions): AsyncGenerator<Buffer> {
  const program = await findProgram('zstd');
  if (program !== undefined) yield* decodeWithProgram(input, [program, '-dc', '--long=31', '--quiet'], options);
  else if (typeof zlib.createZstdDecompress === 'function') yield* decodeZstdInNode(input, options);
  else yield* decodeZstdInWasm(input, options);
}

/** Decodes Zstandard as fast as the zstd program; only from Node 22.15 on. */
export function decodeZstdInNode(input: AsyncIterable<Buffer>, options: DecodeOptions): AsyncGenerator<Buffer> {
  // The parameter ZSTD_d_windowLogMax, and the largest window of the format on 64 bits.
  const decoder = zlib.createZstdDecompress?.({ chunkSize: decodedChunkSize, params: { 100: 31 } });
  if (decoder === undefined) throw new Error('this version of Node has no decoder for Zstandard');
  return decodeWithTransform(
    zstdFrames(input, options.name, () => undefined),
    decoder,
    options,
  );
}

/** The largest window that the decoder in WebAssembly takes. */
const largestWindow = 128 * 1024 * 1024;

/** Decodes Zstandard in a thread, at half the speed of the zstd program and with windows of up to 128 MiB. */
export function decodeZstdInWasm(input: AsyncIterable<Buffer>, options: DecodeOptions): AsyncGenerator<Buffer> {
  const { name } = options;
  const frames = zstdFrames(input, name, ({ windowSize }) => {
    if (windowSize <= largestWindow) return;
    throw new Failure(
      'not-found',
      'program-not-found',
      `${name} was packed with a window of ${windowSize / 2 ** 20} MiB, which only the zstd program unpacks`,
      { hint: 'On Debian or Ubuntu: sudo apt-get install zstd' },
    );
  });
  return decodeInThread('zstd', frames, options);
}
