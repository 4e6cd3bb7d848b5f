import { Failure } from '../failure/failure.js';
import type { BlockReader } from './block-file.js';
import type { ChunkStream } from './chunk-stream.js';
import type { ByteRange } from './partition-table.js';

/** An image that streams, open from its first byte. */
export interface OpenStream {
  readonly stream: ChunkStream;
  readonly close: () => Promise<void>;
}

const blockSize = 4096;
const zeros = Buffer.alloc(blockSize);

/**
 * Random reads of an image that can only be read in order. What was read once is remembered; what lies ahead is flowed to and what was passed
 * over is found by opening the image anew, so whoever knows what will be read says so beforehand with `remember`.
 */
export class StreamedBlocks implements BlockReader {
  readonly size: number;
  readonly #open: () => Promise<OpenStream>;
  readonly #blocks = new Map<number, Buffer>();
  #current: OpenStream | undefined;
  /** The stream's bytes from `#position` on that have not been looked at, at most a chunk. */
  #rest: Buffer = Buffer.alloc(0);
  #position = 0;

  /**
   * @param open opens the image from its first byte, each time
   * @param size bytes of the whole image, or Infinity when that is not known
   */
  constructor(open: () => Promise<OpenStream>, size: number) {
    this.#open = open;
    this.size = size;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    await this.remember([{ start: offset, size: length }]);
    const first = Math.floor(offset / blockSize);
    const parts: Buffer[] = [];
    for (let index = first; index * blockSize < offset + length; index += 1) {
      parts.push(this.#blocks.get(index) ?? Buffer.alloc(0));
    }
    const bytes = Buffer.concat(parts).subarray(offset - first * blockSize);
    if (bytes.length >= length) return bytes.subarray(0, length);
    throw endsEarly(offset, length, offset + bytes.length);
  }

  /** Sees to it that ranges can be read without opening the image anew; they are sorted. */
  async remember(ranges: Iterable<ByteRange>): Promise<void> {
    for (const { start, size } of ranges) {
      if (!Number.isFinite(start + size)) throw endsEarly(start, size, this.size);
      for (let index = Math.floor(start / blockSize); index * blockSize < start + size; index += 1) {
        if (!this.#blocks.has(index)) await this.#fetch(index);
      }
    }
  }

  async close(): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    await current?.close();
  }

  async #fetch(index: number): Promise<void> {
    const start = index * blockSize;
    if (start < this.#position) await this.close();
    if (this.#current === undefined) {
      this.#current = await this.#open();
      this.#rest = Buffer.alloc(0);
      this.#position = 0;
    }
    const { stream } = this.#current;
    const parts: Buffer[] = [];
    for (let missing = blockSize; missing > 0;) {
      if (this.#rest.length === 0) {
        const chunk = await stream.next();
        if (chunk === undefined) break;
        this.#rest = chunk;
      }
      const skipped = Math.min(this.#rest.length, Math.max(0, start - this.#position));
      const piece = this.#rest.subarray(skipped, skipped + missing);
      // A chunk is good only until the next one is asked for.
      parts.push(Buffer.from(piece));
      missing -= piece.length;
      this.#position += skipped + piece.length;
      this.#rest = this.#rest.subarray(skipped + piece.length);
    }
    const block = Buffer.concat(parts);
    this.#blocks.set(index, block.equals(zeros) ? zeros : block);
  }
}

function endsEarly(offset: number, length: number, end: number): Failure {
  return new Failure(
    'failed',
    'unexpected-end',
    `reading ${length} bytes at byte ${offset} of an image that streams: it ends at byte ${end}`,
    { hint: 'Get the image again' },
  );
}
