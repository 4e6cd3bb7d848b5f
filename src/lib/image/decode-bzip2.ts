import { findProgram, requirePrograms } from '../platform/child-process.js';
import { decodeWithProgram } from './decode-with-program.js';
import type { DecodeOptions } from './decode-options.js';

/** Decodes bzip2 with the lbzip2 program, which uses every core, or with bzip2; fails with `program-not-found` without both. */
export async function* decodeBzip2(input: AsyncIterable<Buffer>, options: DecodeOptions): AsyncGenerator<Buffer> {
  const program = (await findProgram('lbzip2')) ?? (await findProgram('bzip2'));
  if (program === undefined) {
    await requirePrograms(`unpacking ${options.name}`, [{ program: 'bzip2', debianPackage: 'bzip2' }]);
  } else {
    // What follows a stream and is none, such as a damaged one, is only warned of.
    yield* decodeWithProgram(input, [program, '-dc'], { ...options, warningsAreDamage: true });
  }
}
