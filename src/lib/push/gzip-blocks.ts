import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

const blockSize = 1024 * 1024;
/** As many as Node has threads for it. */
const blocksAtOnce = 4;
/** So many blocks are stored as they are after one that does not shrink, before the next one is tried. */
const blocksStored = 3;

const packed = promisify(gzip);

/**
 * Packs a stream with gzip on several cores: each block is a member of its own, which every reader of gzip takes for one file. What does not
 * shrink is stored, and so is everything while whoever takes it is faster than the packing. An empty chunk makes it hand over all it has.
 */
export async function* gzipBlocks(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const packing: Promise<Buffer>[] = [];
  const pace = new Pace();
  let toStore = 0;
  const pack = async (block: Buffer) => {
    if (toStore > 0) toStore -= 1;
    else if (pace.pays) {
      const result = await packed(block, { level: 1 });
      if (result.length > block.length * 0.95) toStore = blocksStored;
      return result;
    }
    return packed(block, { level: 0 });
  };
  const ready = async function* (most: number) {
    for (let first = packing[0]; first !== undefined && packing.length > most; first = packing[0]) {
      const askedAt = performance.now();
      const block = await first;
      void packing.shift();
      const givenAt = performance.now();
      yield block;
      pace.note(givenAt - askedAt, performance.now() - givenAt);
    }
  };
  for await (const block of blocks(content)) {
    if (block.length > 0) packing.push(settling(pack(block)));
    yield* ready(block.length > 0 ? blocksAtOnce - 1 : 0);
  }
  yield* ready(0);
}

/** Blocks after which it is judged whether packing pays, and for which it is not tried again where it did not. */
const blocksJudged = 8;
const blocksUnjudged = 16;

/** Whether packing pays: not while more time goes by with waiting for it than for whoever takes what is packed. */
class Pace {
  pays = true;
  #waitedMs = 0;
  #takenMs = 0;
  #left = blocksJudged;

  note(waitedMs: number, takenMs: number): void {
    this.#waitedMs += waitedMs;
    this.#takenMs += takenMs;
    this.#left -= 1;
    if (this.#left > 0) return;
    this.pays = !this.pays || this.#waitedMs <= this.#takenMs;
    this.#left = this.pays ? blocksJudged : blocksUnjudged;
    this.#waitedMs = 0;
    this.#takenMs = 0;
  }
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
    if (chunk.length > 0) continue;
    if (filled > 0) yield block.subarray(0, filled);
    yield chunk;
    block = Buffer.allocUnsafe(blockSize);
    filled = 0;
  }
  if (filled > 0) yield block.subarray(0, filled);
}
