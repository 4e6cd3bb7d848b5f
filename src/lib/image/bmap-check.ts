import { createHash, type Hash } from 'node:crypto';
import { Failure } from '../failure/failure.js';
import type { Bmap, BmapRange } from './bmap.js';
import type { ContentCheck } from './content-check.js';
import { SortedRanges } from './sorted-ranges.js';
import type { ImageSource } from './source.js';

type SizedImage = Pick<ImageSource, 'name' | 'size' | 'format'>;

/**
 * Checks an image against a bmap as it is read: its size and the checksum of each mapped range. Fails with `bmap-mismatch` where they are
 * not the same, and at once where the size of the image is known and another.
 */
export function bmapCheck(bmap: Bmap, { name, size: statedSize, format }: SizedImage): ContentCheck {
  const ranges = bmap.ranges.filter((range) => range.checksum !== undefined);
  const wanted = new SortedRanges();
  for (const range of ranges) wanted.add(range);
  let index = 0;
  let hash: Hash | undefined;
  const requireChecksum = (range: BmapRange, finished: Hash) => {
    if (finished.digest('hex') === range.checksum) return;
    const place = `bytes ${range.start} to ${range.start + range.size - 1}`;
    throw differs(`${name} is not the image that ${bmap.name} describes: ${place} have another checksum`);
  };
  const requireSize = (size: number) => {
    if (size === bmap.imageSize) return;
    throw differs(`${name} is not the image that ${bmap.name} describes: it has ${size} bytes, not ${bmap.imageSize}`);
  };
  // For zstd, the stated size is the least it can be.
  if (statedSize !== undefined && format !== 'zstd') requireSize(statedSize);
  return {
    wantedWithin: (start, end) => wanted.within(start, end),
    pass(start, bytes) {
      const end = start + bytes.length;
      for (let range = ranges[index]; range !== undefined && range.start < end; range = ranges[index]) {
        const rangeEnd = range.start + range.size;
        hash ??= createHash(bmap.algorithm ?? 'sha256');
        hash.update(bytes.subarray(Math.max(range.start - start, 0), rangeEnd - start));
        if (rangeEnd > end) return;
        requireChecksum(range, hash);
        hash = undefined;
        index += 1;
      }
    },
    finish: requireSize,
  };
}

function differs(message: string): Failure {
  return new Failure('failed', 'bmap-mismatch', message, {
    hint: 'Get both again; if the block map belongs to another image, do without it: --no-bmap',
  });
}
