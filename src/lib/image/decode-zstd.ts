import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { findProgram } from '../platform/child-process.js';
import { archiveCorrupt } from './archive-corrupt.js';
import { decodeWithProgram } from './decode-with-program.js';
import { decodedChunkSize, type DecodeOptions, decodeWithTransform } from './decode-with-transform.js';

declare module 'node:zlib' {
  /** Node 22.15 and later. */
  const createZstdDecompress:
    | ((options: { readonly chunkSize: number; readonly params: Readonly<Record<number, number>> }) => Transform)
    | undefined;
}

/** ZSTD_d_windowLogMax of zstd.h. */
const windowLogMax = 100;

/** Decodes Zstandard with what this computer has: Node's own decoder, the zstd program, or WebAssembly. */
export async function* decodeZstd(input: AsyncIterable<Buffer>, options: DecodeOptions): AsyncGenerator<Buffer> {
  if (zlib.createZstdDecompress !== undefined) {
    const transform = zlib.createZstdDecompress({ chunkSize: decodedChunkSize, params: { [windowLogMax]: 31 } });
    yield* decodeWithTransform(input, transform, options);
    return;
  }
  const program = await findProgram('zstd');
  if (program === undefined) yield* decodeZstdInWasm(input, options);
  else yield* decodeWithProgram(input, [program, '-dc', '--long=31', '--quiet'], options);
}

/** Decodes Zstandard without Node's decoder or a program, at half their speed and with windows of up to 128 MiB. */
export async function* decodeZstdInWasm(input: AsyncIterable<Buffer>, { name }: DecodeOptions): AsyncGenerator<Buffer> {
  const { ZSTDDecoder } = await import('zstddec/stream');
  const decoder = new ZSTDDecoder();
  await decoder.init();
  // The decoder takes its input synchronously, one piece at most for each step, so one piece is always laid out for it.
  const laidOut: Buffer[] = [];
  const decoded = decoder.decodeStreaming({
    *[Symbol.iterator]() {
      for (let next = laidOut.shift(); next !== undefined; next = laidOut.shift()) yield next;
    },
  });
  let emptySteps = 0;
  const next = (): Buffer | undefined => {
    const step = attempt(name, () => decoded.next());
    if (step.done === true) return undefined;
    const { value } = step;
    // It does not report a block that does not decode, but gives nothing for ever.
    emptySteps = value.length === 0 ? emptySteps + 1 : 0;
    if (emptySteps > 100) throw archiveCorrupt(name, 'it does not decode');
    return Buffer.from(value.buffer, value.byteOffset, value.length);
  };
  for await (const chunk of input) {
    laidOut.push(chunk);
    while (laidOut.length > 0) yield next() ?? Buffer.alloc(0);
  }
  for (let piece = next(); piece !== undefined; piece = next()) yield piece;
}

function attempt<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw archiveCorrupt(name, 'it ends too early', error);
  }
}
