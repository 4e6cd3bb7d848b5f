import { availableParallelism } from 'node:os';
import { findProgram } from '../platform/child-process.js';
import { archiveCorrupt } from './archive-corrupt.js';
import { decodeInThread } from './decode-in-thread.js';
import type { DecodeOptions } from './decode-options.js';
import { decodeWithProgram } from './decode-with-program.js';
import { decodeXzBlocks } from './decode-xz-blocks.js';
import { exactly } from './exactly.js';
import type { ImageOrigin } from './image-origin.js';
import { readXzBlocks, unpackedXzSize, type XzBlock } from './xz-index.js';

/** What is known of an xz file before it is unpacked. */
export interface XzLayout {
  /** Where its index could be read. */
  readonly blocks?: readonly XzBlock[] | undefined;
  /** Gives the bytes of several blocks at the same time, where that makes sense. */
  readonly streamOfBlocks?: ImageOrigin['stream'] | undefined;
}

/** Beyond this many, threads of the xz program need more memory than they gain speed on any drive. */
const mostThreads = 4;

/** Decodes xz with the xz program, which uses several cores on files of several blocks, or in WebAssembly without it. */
export async function* decodeXz(
  input: AsyncIterable<Buffer>,
  options: DecodeOptions,
  layout: XzLayout = {},
): AsyncGenerator<Buffer> {
  const program = await findProgram('xz');
  const decoded =
    program === undefined ? decodeXzInWasm(input, options, layout) : decodeWithXz(program, input, options);
  yield* layout.blocks === undefined ? decoded : exactly(decoded, unpackedXzSize(layout.blocks), options.name);
}

function decodeWithXz(program: string, input: AsyncIterable<Buffer>, options: DecodeOptions): AsyncIterable<Buffer> {
  const threads = Math.min(availableParallelism(), mostThreads);
  return decodeWithProgram(input, [program, '-dc', `-T${threads}`, '--quiet'], options);
}

/** Decodes xz without the xz program, at two thirds of its speed: block by block in several threads where the blocks are known. */
export function decodeXzInWasm(
  input: AsyncIterable<Buffer>,
  options: DecodeOptions,
  { blocks, streamOfBlocks }: XzLayout = {},
): AsyncIterable<Buffer> {
  if (blocks === undefined || streamOfBlocks === undefined) return decodeXzStream(input, options);
  return decodeXzBlocks(blocks, streamOfBlocks, options, Math.min(availableParallelism(), mostThreads));
}

/** Bytes at the end of a stream in which its index is looked for. */
const tailSize = 1024 * 1024;

/** Decodes xz whose end cannot be read first. The decoder stops after the first of several streams; the index of the last one tells. */
async function* decodeXzStream(input: AsyncIterable<Buffer>, options: DecodeOptions): AsyncGenerator<Buffer> {
  let tail: Buffer = Buffer.alloc(0);
  let end = 0;
  let size = 0;
  const watched = async function* () {
    for await (const chunk of input) {
      tail = Buffer.concat([tail, chunk]).subarray(-tailSize);
      end += chunk.length;
      yield chunk;
    }
  };
  const packed = watched();
  for await (const chunk of decodeInThread('xz', packed, options)) {
    size += chunk.length;
    yield chunk;
  }
  // What the decoder did not want.
  while ((await packed.next()).done !== true);
  const read = (offset: number, length: number) => {
    const at = offset - (end - tail.length);
    const isThere = at >= 0 && at + length <= tail.length;
    return isThere ? Promise.resolve(tail.subarray(at, at + length)) : Promise.reject(severalStreams(options.name));
  };
  const blocks = await readXzBlocks({ size: end, read });
  if (blocks === undefined || unpackedXzSize(blocks) !== size) throw severalStreams(options.name);
}

function severalStreams(name: string) {
  return archiveCorrupt(name, 'it is damaged behind its first part, or has parts that only the xz program unpacks');
}
