import { archiveCorrupt } from './archive-corrupt.js';

/** Fails when a stream is shorter or longer than its archive says, as when a decoder stops after the first of several streams. */
export async function* exactly(chunks: AsyncIterable<Buffer>, size: number, name: string): AsyncGenerator<Buffer> {
  let have = 0;
  for await (const chunk of chunks) {
    have += chunk.length;
    if (have > size) break;
    yield chunk;
  }
  if (have === size) return;
  throw archiveCorrupt(name, `it unpacks to ${have > size ? 'more' : 'fewer'} than the ${size} bytes that it states`);
}
