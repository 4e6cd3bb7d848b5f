import { Failure } from '../failure/failure.js';
import type { BlockReader } from './block-file.js';
import type { ChunkStream } from './chunk-stream.js';

/** Boot partitions end before this: on most boards within 174 MiB, on a Jetson behind 584 MiB of firmware. */
const mostInMemory = 768 * 1024 * 1024;

/**
 * Reads the beginning of an image that streams, before it flows on: as much of it as is asked for is held in memory, and what lies too
 * far back for that is a failure.
 *
 * @param size bytes of the whole image, or Infinity when that is not known yet
 */
export function headReader(stream: ChunkStream, size: number): BlockReader {
  let head: Buffer = Buffer.alloc(0);
  return {
    size,
    async read(offset, length) {
      const end = offset + length;
      // Every peek copies what was read before, so that each one at least doubles it.
      if (end > head.length && end <= mostInMemory) head = await stream.peek(Math.max(end, 2 * head.length));
      if (end <= head.length) return Buffer.from(head.subarray(offset, end));
      const why = end > mostInMemory ? 'it is too far back' : `the image ends at byte ${head.length}`;
      throw new Failure(
        'failed',
        'unexpected-end',
        `reading ${length} bytes at byte ${offset} of an image that streams: ${why}`,
        {
          hint: 'Unpack the image and use the file',
        },
      );
    },
  };
}
