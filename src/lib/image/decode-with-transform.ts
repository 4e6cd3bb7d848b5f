import type { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { interrupted } from '../failure/failure.js';
import { systemErrorCode } from '../failure/while-doing.js';
import { archiveCorrupt } from './archive-corrupt.js';
import type { DecodeOptions } from './decode-options.js';
import { freedChunks } from './freed-chunks.js';

/**
 * Passes bytes through one of Node's own decompressors, made with `decodedChunkSize`; what it cannot decode is `archive-corrupt`. A chunk is
 * good only until the next one is asked for.
 */
export async function* decodeWithTransform(
  input: AsyncIterable<Buffer>,
  transform: Transform,
  { name, signal }: DecodeOptions,
): AsyncGenerator<Buffer> {
  const copied = async function* () {
    // What waits to be unpacked is still there when the next chunk is asked for.
    for await (const chunk of input) yield Buffer.from(chunk);
  };
  const feeding = pipeline(copied, transform, { signal });
  // Its failure also ends the iteration below, which reports it.
  feeding.catch(() => undefined);
  try {
    yield* freedChunks(transform);
    await feeding;
  } catch (error) {
    if (signal.aborted) throw interrupted();
    // Such as ZSTD_error_corruption_detected.
    if (systemErrorCode(error)?.startsWith('Z') === true) {
      throw archiveCorrupt(name, error instanceof Error ? error.message : String(error), error);
    }
    throw error;
  } finally {
    transform.destroy();
  }
}
