import { MessageChannel } from 'node:worker_threads';
import { decodedChunkSize } from './decode-options.js';

/** Nobody gets what is sent here, and what is sent with its memory takes that along (HTML standard, "message port post message steps"). */
const { port1: nowhere, port2 } = new MessageChannel();
port2.close();
nowhere.close();

/**
 * Gives the chunks of one of Node's decompressors, which was made with `decodedChunkSize`, and frees the memory of each when the next one is
 * asked for. Left to the garbage collector, tens of megabytes pile up, and getting new memory over and over takes a third of the time.
 */
export async function* freedChunks(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    yield chunk;
    const { buffer, byteOffset, byteLength } = chunk;
    // What has been filled to its end is of no use to the decompressor any more; smaller memory is not its own.
    const isDone = buffer.byteLength === decodedChunkSize && byteOffset + byteLength === decodedChunkSize;
    if (isDone && buffer instanceof ArrayBuffer) nowhere.postMessage(undefined, [buffer]);
  }
}
