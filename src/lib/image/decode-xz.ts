import { ReadableStream } from 'node:stream/web';
import { interrupted } from '../failure/failure.js';
import { findProgram } from '../platform/child-process.js';
import { archiveCorrupt } from './archive-corrupt.js';
import { decodeWithProgram } from './decode-with-program.js';
import type { DecodeOptions } from './decode-with-transform.js';

/** Decodes xz with the xz program, which uses every core on files of several blocks, or in WebAssembly without it. */
export async function* decodeXz(input: AsyncIterable<Buffer>, options: DecodeOptions): AsyncGenerator<Buffer> {
  const program = await findProgram('xz');
  if (program === undefined) yield* decodeXzInWasm(input, options);
  else yield* decodeWithProgram(input, [program, '-dc', '-T0', '--quiet'], options);
}

/** Decodes one xz stream without the xz program, on one core and at two thirds of its speed. */
export async function* decodeXzInWasm(
  input: AsyncIterable<Buffer>,
  { name, signal }: DecodeOptions,
): AsyncGenerator<Buffer> {
  const { XzReadableStream } = await import('xz-decompress');
  const inputErrors: unknown[] = [];
  const watched = async function* () {
    try {
      yield* input;
    } catch (error) {
      inputErrors.push(error);
      throw error;
    }
  };
  try {
    for await (const chunk of new XzReadableStream(ReadableStream.from(watched()))) {
      if (signal.aborted) throw interrupted();
      yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    }
  } catch (error) {
    if (signal.aborted) throw interrupted();
    throw inputErrors.length > 0 ? error : archiveCorrupt(name, 'it ends too early or does not decode', error);
  }
}
