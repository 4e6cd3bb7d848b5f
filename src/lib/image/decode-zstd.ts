import { findProgram } from '../platform/child-process.js';
import { archiveCorrupt } from './archive-corrupt.js';
import { decodeWithProgram } from './decode-with-program.js';
import type { DecodeOptions } from './decode-with-transform.js';

/**
 * Decodes Zstandard with the zstd program, or in WebAssembly without it. The decoder that Node has since 22.15 is as fast as the program,
 * but takes a truncated file for a whole one (seen with 22.23).
 */
export async function* decodeZstd(input: AsyncIterable<Buffer>, options: DecodeOptions): AsyncGenerator<Buffer> {
  const program = await findProgram('zstd');
  if (program === undefined) yield* decodeZstdInWasm(input, options);
  else yield* decodeWithProgram(input, [program, '-dc', '--long=31', '--quiet'], options);
}

/** Decodes Zstandard without the zstd program, at half its speed and with windows of up to 128 MiB. */
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
