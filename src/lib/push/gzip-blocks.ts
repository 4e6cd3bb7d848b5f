import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

const blockSize = 1024 * 1024;
/** As many as Node has threads for it. */
const blocksAtOnce = 4;
/** So many blocks are stored as they are after one that does not shrink, before the next one is tried. */
const blocksStored = 15;

const packed = promisify(gzip);

/**
 * Packs a stream with gzip on several cores: each block is a member of its own, which every reader of gzip takes for one file. What does not
 * shrink is stored.
 */
export async function* gzipBlocks(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const packing: Promise<Buffer>[] = [];
  let toStore = 0;
  const pack = async (block: Buffer) => {
    if (toStore > 0) {
      toStore -= 1;
      return packed(block, { level: 0 });
    }
    const result = await packed(block, { level: 1 });
    if (result.length > block.length * 0.95) toStore = blocksStored;
    return result;
  };
  for await (const block of blocks(content)) {
    packing.push(settling(pack(block)));
    const first = packing.length < blocksAtOnce ? undefined : packing.shift();
    if (first !== undefined) yield await first;
  }
  for (const one of packing) yield await one;
}

/** Keeps a failure for whoever awaits the result, also when nobody does any more. */
function settling<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

async function* blocks(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let block = Buffer.allocUnsafe(blockSize);
  let filled = 0;
  for await (const chunk of content) {
    for (let at = 0; at < chunk.length;) {
      const copied = chunk.copy(block, filled, at);
      at += copied;
      filled += copied;
      if (filled < blockSize) continue;
      yield block;
      block = Buffer.allocUnsafe(blockSize);
      filled = 0;
    }
  }
  // An empty file is no gzip.
  yield block.subarray(0, filled);
}
