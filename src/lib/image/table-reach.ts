import { guidSectorSizes, parseGptHeader } from './guid-partition-table.js';
import { parseMasterBootRecord } from './master-boot-record.js';

const sectorSize = 512;

/** What tools leave behind the last partition is less than this. */
const usualRest = 16 * 1024 * 1024;

/**
 * How large a drive has to be, in bytes, for the image that begins with a partition table: up to the copy of a GPT, or some room behind the
 * partitions and the container of others that an MBR names. An image may be shorter, when it was cut, or larger, when it has something behind.
 */
export function tableReach(head: Buffer): number {
  if (head.length < sectorSize) return 0;
  const entries = parseMasterBootRecord(head.subarray(0, sectorSize)) ?? [];
  const copies = guidSectorSizes.flatMap((size) => {
    const header = parseGptHeader(head.subarray(size, 2 * size), size);
    return header === undefined ? [] : header.otherAt + size;
  });
  if (copies.length > 0) return Math.max(...copies);
  if (entries.length === 0) return 0;
  return Math.max(...entries.map(({ firstSector, sectors }) => (firstSector + sectors) * sectorSize)) + usualRest;
}
