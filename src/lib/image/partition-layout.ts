import { guidSectorSizes, parseGptEntries, parseGptHeader } from './guid-partition-table.js';
import {
  type BootRecordEntry,
  type ExtendedBootRecord,
  isExtended,
  isProtective,
  parseExtendedBootRecord,
  parseMasterBootRecord,
} from './master-boot-record.js';
import { mostPartitions, type Partition, partitionOf } from './partition-table.js';
import type { RangeParser } from './range-feed.js';

const sectorSize = 512;

/**
 * Finds the partitions of an image in the order in which their tables lie in it, so that it can be done while the image streams by.
 * A table that is damaged gives no partitions.
 */
export function* partitionLayout(found: (partition: Partition) => void): RangeParser<'gpt' | 'mbr' | 'none'> {
  const first = yield { start: 0, size: sectorSize };
  const entries = first && parseMasterBootRecord(first);
  if (entries === undefined || entries.length === 0) return 'none';
  if (entries.some(isProtective)) return yield* guidLayout(found);
  for (const entry of entries) if (!isExtended(entry)) found(partitionOf(entry));
  const container = entries.find(isExtended);
  if (container !== undefined) yield* logicalLayout(container, found);
  return 'mbr';
}

function* guidLayout(found: (partition: Partition) => void): RangeParser<'gpt' | 'none'> {
  for (const size of guidSectorSizes) {
    const sector = yield { start: size, size };
    const header = sector && parseGptHeader(sector, size);
    if (header?.at !== size) continue;
    const entries = yield { start: header.entriesAt, size: header.entryCount * header.entrySize };
    const partitions = entries && parseGptEntries(entries, header);
    if (partitions === undefined) continue;
    for (const partition of partitions) found(partition);
    return 'gpt';
  }
  return 'none';
}

function* logicalLayout(container: BootRecordEntry, found: (partition: Partition) => void): RangeParser {
  let sector: number | undefined = container.firstSector;
  for (let number = 5; sector !== undefined && number <= mostPartitions;) {
    const bytes: Buffer | undefined = yield { start: sector * sectorSize, size: sectorSize };
    if (bytes === undefined) return;
    const record: ExtendedBootRecord | undefined = parseExtendedBootRecord(bytes, sector, container.firstSector);
    if (record?.logical !== undefined) {
      found(partitionOf({ ...record.logical, number }));
      number += 1;
    }
    // A chain that leads backwards is damaged.
    sector = record?.next !== undefined && record.next > sector ? record.next : undefined;
  }
}
