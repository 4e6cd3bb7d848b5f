import { findProgram, requirePrograms } from '../platform/child-process.js';
import { decodeWithProgram } from './decode-with-program.js';
import type { DecodeOptions } from './decode-options.js';

/** Decodes LZ4 frames with the lz4 program; fails with `program-not-found` without it. */
export async function* decodeLz4(input: AsyncIterable<Buffer>, options: DecodeOptions): AsyncGenerator<Buffer> {
  const program = await findProgram('lz4');
  if (program === undefined) {
    await requirePrograms(`unpacking ${options.name}`, [{ program: 'lz4', debianPackage: 'lz4' }]);
  } else {
    // What follows a frame and is none, such as a damaged one, is only warned of.
    yield* decodeWithProgram(input, [program, '-dc'], { ...options, warningsAreDamage: true });
  }
}
