import zlib from 'node:zlib';
import { interrupted } from '../failure/failure.js';
import { systemErrorCode } from '../failure/while-doing.js';
import { archiveCorrupt } from './archive-corrupt.js';
import type { ChunkStream } from './chunk-stream.js';
import { decodedChunkSize, type DecodeOptions } from './decode-options.js';
import { freedChunks } from './freed-chunks.js';

/**
 * Chunks that zlib is ahead of whoever takes them; otherwise it would wait for each to be taken. As objects they come one by one: bytes that
 * wait are put together in new memory first.
 */
const zlibOptions = { chunkSize: decodedChunkSize, readableObjectMode: true, readableHighWaterMark: 3 };

/**
 * Unpacks one deflate stream (RFC 1951) from the front of others; what follows it stays unread. What does not decode is `archive-corrupt`. A
 * chunk is good only until the next one is asked for.
 */
export async function* inflate(packed: ChunkStream, { name, signal }: DecodeOptions): AsyncGenerator<Buffer> {
  const decoder = zlib.createInflateRaw(zlibOptions);
  const stop = () => decoder.destroy(interrupted());
  signal.addEventListener('abort', stop, { once: true });
  const feeding = feed(packed, decoder);
  // A failure to read the input ends the iteration below.
  feeding.catch((error: unknown) => decoder.destroy(error instanceof Error ? error : undefined));
  try {
    yield* freedChunks(decoder);
    await feeding;
  } catch (error) {
    if (signal.aborted) throw interrupted();
    // zlib's codes are Z_DATA_ERROR, Z_BUF_ERROR, …
    if (systemErrorCode(error)?.startsWith('Z_') === true) {
      throw archiveCorrupt(name, error instanceof Error ? error.message : String(error), error);
    }
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    decoder.destroy();
  }
}

/** Hands over one chunk after the other, and puts back what the decoder did not want of the last. */
async function feed(packed: ChunkStream, decoder: zlib.InflateRaw): Promise<void> {
  const closed = new Promise((resolve) => decoder.once('close', resolve));
  let given = 0;
  while (!decoder.destroyed) {
    const chunk = await packed.next();
    if (chunk === undefined) break;
    given += chunk.length;
    await Promise.race([closed, new Promise((resolve) => decoder.write(chunk, resolve))]);
    const left = given - decoder.bytesWritten;
    if (left === 0) continue;
    packed.unread(chunk.subarray(chunk.length - left));
    break;
  }
  if (!decoder.destroyed) decoder.end();
}
