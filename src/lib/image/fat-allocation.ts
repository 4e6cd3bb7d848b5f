import type { RangeParser } from './block-map.js';
import { type FatGeometry, parseFatGeometry } from './fat-geometry.js';
import { tableEntry } from './fat-table.js';
import type { ByteRange } from './partition-table.js';

/** A table larger than this (FAT32 of a terabyte) is not held in memory; its partition then matters in full. */
const largestTable = 128 * 1024 * 1024;

/** Finds the free clusters of a FAT12, FAT16 or FAT32 file system; returns whether the partition holds one. */
export function* fatFreeSpace(partition: ByteRange, found: (range: ByteRange) => void): RangeParser<boolean> {
  if (partition.size < 512) return false;
  const bootSector = yield { start: partition.start, size: 512 };
  const geometry = bootSector && parseFatGeometry(bootSector);
  if (bootSector === undefined || geometry === undefined) return false;
  const [tableAt = 0] = geometry.tablesAt;
  if (geometry.size > partition.size || geometry.tableSize > largestTable) return true;
  const table = yield { start: partition.start + tableAt, size: geometry.tableSize };
  if (table === undefined || !isTableOf(geometry, table, bootSector)) return true;
  const dataStart = partition.start + geometry.dataAt;
  for (let cluster = 2; cluster < geometry.clusterCount + 2; cluster += 1) {
    if (tableEntry(table, geometry.bits, cluster) !== 0) continue;
    found({ start: dataStart + (cluster - 2) * geometry.clusterSize, size: geometry.clusterSize });
  }
  return true;
}

/** The first entry of a table repeats the media byte of the boot sector. */
function isTableOf(geometry: FatGeometry, table: Buffer, bootSector: Buffer): boolean {
  return geometry.tableSize >= 3 && table.readUInt8(0) === bootSector.readUInt8(21);
}
