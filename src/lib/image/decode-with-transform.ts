import type { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { interrupted } from '../failure/failure.js';
import { systemErrorCode } from '../failure/while-doing.js';
import { archiveCorrupt } from './archive-corrupt.js';

/** What a decoder needs besides its input. */
export interface DecodeOptions {
  /** What the user calls the archive, for messages. */
  readonly name: string;
  readonly signal: AbortSignal;
}

/**
 * Bytes that a decoder gives at a time. With Node's default of 16 kB, decoding gzip takes four times as long; beyond 1 MiB
 * nothing is gained.
 */
export const decodedChunkSize = 1024 * 1024;

/** Passes bytes through one of Node's own decompressors; what it cannot decode is `archive-corrupt`. */
export async function* decodeWithTransform(
  input: AsyncIterable<Buffer>,
  transform: Transform,
  { name, signal }: DecodeOptions,
): AsyncGenerator<Buffer> {
  const feeding = pipeline(input, transform, { signal });
  // Its failure also ends the iteration below, which reports it.
  feeding.catch(() => undefined);
  const chunks: AsyncIterable<Buffer> = transform;
  try {
    yield* chunks;
    await feeding;
  } catch (error) {
    if (signal.aborted) throw interrupted();
    // zlib's codes are Z_DATA_ERROR, Z_BUF_ERROR, …
    if (systemErrorCode(error)?.startsWith('Z_') === true) {
      throw archiveCorrupt(name, error instanceof Error ? error.message : String(error), error);
    }
    throw error;
  } finally {
    transform.destroy();
  }
}
