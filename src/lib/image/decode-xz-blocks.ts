import { crc32 } from 'node:zlib';
import { DecoderThread } from './decode-in-thread.js';
import { threadChunkSize } from './decoder-thread.js';
import type { DecodeOptions } from './decode-options.js';
import type { ImageOrigin } from './image-origin.js';
import { padded, type XzBlock } from './xz-index.js';

/** Bytes that threads may have unpacked ahead of the one whose turn it is. */
const mostAhead = 128 * 1024 * 1024;

/** Unpacks the blocks of an xz file in several threads; each block becomes a file of its own. */
export async function* decodeXzBlocks(
  blocks: readonly XzBlock[],
  stream: ImageOrigin['stream'],
  options: DecodeOptions,
  mostThreads: number,
): AsyncGenerator<Buffer> {
  const largest = blocks.reduce((size, block) => Math.max(size, block.unpackedSize), 1);
  const count = Math.max(1, Math.min(mostThreads, Math.floor(mostAhead / largest)));
  const threads = blocks.slice(0, count).map(() => new DecoderThread());
  const start = (index: number): AsyncIterable<Buffer> | undefined => {
    const block = blocks[index];
    // Only a thread that may hold a whole block is done with it before its turn.
    const ahead = Math.ceil(Math.min(block?.unpackedSize ?? 0, mostAhead / count) / threadChunkSize) + 1;
    return block && threads[index % count]?.start('xz', fileOfBlock(block, stream), options, ahead);
  };
  try {
    const started = threads.map((_, index) => start(index));
    for (let index = 0; index < blocks.length; index += 1) {
      yield* started.shift() ?? [];
      started.push(start(index + count));
    }
  } finally {
    for (const thread of threads) await thread.close();
  }
}

/** An xz file with one block: stream header, block, index and footer (xz file format 1.2, section 2.1). */
async function* fileOfBlock(block: XzBlock, stream: ImageOrigin['stream']): AsyncGenerator<Buffer> {
  yield Buffer.concat([Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]), block.flags, checksum(block.flags)]);
  yield* stream({ start: block.start, size: padded(block.unpaddedSize) });
  const records = Buffer.concat([Buffer.from([0, 1]), number(block.unpaddedSize), number(block.unpackedSize)]);
  const index = Buffer.concat([records, Buffer.alloc(padded(records.length) - records.length)]);
  const sizeAndFlags = Buffer.concat([Buffer.alloc(4), block.flags]);
  // The size of the index with its checksum, in units of four bytes, less one.
  sizeAndFlags.writeUInt32LE((index.length + 4) / 4 - 1);
  yield Buffer.concat([index, checksum(index), checksum(sizeAndFlags), sizeAndFlags, Buffer.from('YZ')]);
}

function checksum(bytes: Buffer): Buffer {
  const result = Buffer.alloc(4);
  result.writeUInt32LE(crc32(bytes));
  return result;
}

/** Seven bits in each byte, lowest first; the top bit says that more follow. */
function number(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}
