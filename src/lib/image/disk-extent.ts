import { crc32 } from 'node:zlib';
import type { BlockReader } from './block-file.js';
import { type GuidHeader, guidSectorSizes, parseGptEntries, parseGptHeader } from './guid-partition-table.js';
import { isProtective, parseMasterBootRecord } from './master-boot-record.js';
import type { ChangedRanges } from './overlay.js';

/** How much of a disk an image of it needs, and what is to be changed in it so that it ends there. */
export interface DiskExtent {
  /** Bytes. */
  readonly size: number;
  readonly changes: ChangedRanges;
}

const bootRecordSize = 512;

/** Less than this is not worth moving a partition table's copy for. */
const worthwhile = 1024 * 1024;

/**
 * Finds where a disk may be cut off behind its last partition. The copy of a GPT, which lies at the end of the disk, is then moved to the new
 * end. Where there is no partition table, or a damaged one, all of the disk is needed.
 */
export async function diskExtent(disk: BlockReader): Promise<DiskExtent> {
  const whole: DiskExtent = { size: disk.size, changes: [] };
  if (disk.size < bootRecordSize) return whole;
  const bootRecord = await disk.read(0, bootRecordSize);
  const entries = parseMasterBootRecord(bootRecord) ?? [];
  if (entries.length === 0) return whole;
  const ends = entries.map(({ firstSector, sectors }) => (firstSector + sectors) * bootRecordSize);
  if (!entries.some(isProtective)) return { size: Math.min(disk.size, Math.max(...ends)), changes: [] };
  for (const sectorSize of guidSectorSizes) {
    const extent = await guidExtent(disk, sectorSize, entries.length === 1 ? bootRecord : undefined);
    if (extent !== undefined) return extent;
  }
  return whole;
}

/** @param protective the boot record, if it says nothing but that there is a GPT */
async function guidExtent(
  disk: BlockReader,
  sectorSize: number,
  protective: Buffer | undefined,
): Promise<DiskExtent | undefined> {
  const read = async (start: number, size: number) =>
    start + size <= disk.size ? disk.read(start, size) : Buffer.alloc(0);
  const sector = await read(sectorSize, sectorSize);
  const header = parseGptHeader(sector, sectorSize);
  if (header === undefined) return undefined;
  const entriesSize = Math.ceil((header.entryCount * header.entrySize) / sectorSize) * sectorSize;
  const entries = await read(header.entriesAt, entriesSize);
  const partitions = parseGptEntries(entries, header);
  if (partitions === undefined) return undefined;
  const end = Math.max(header.entriesAt + entriesSize, ...partitions.map((one) => one.start + one.size));
  const size = end + entriesSize + sectorSize;
  const copyEnd = header.otherAt + sectorSize;
  const currentSize = copyEnd > end && copyEnd <= disk.size ? copyEnd : disk.size;
  if (partitions.length === 0 || currentSize - size < worthwhile) return { size: currentSize, changes: [] };
  return { size, changes: moveCopy(size, { sector, header, entries, protective }) };
}

interface GuidTable {
  readonly sector: Buffer;
  readonly header: GuidHeader;
  readonly entries: Buffer;
  readonly protective: Buffer | undefined;
}

/** The sectors of a GPT whose copy lies at the end of a smaller disk (UEFI 5.3.2). */
function moveCopy(size: number, { sector, header, entries, protective }: GuidTable): ChangedRanges {
  const { sectorSize } = header;
  const last = size / sectorSize - 1;
  const copyEntries = last - entries.length / sectorSize;
  const withFields = (fields: readonly (readonly [offset: number, sectorNumber: number])[]) => {
    const changed = Buffer.from(sector);
    const headerSize = changed.readUInt32LE(12);
    for (const [offset, value] of fields) changed.writeBigUInt64LE(BigInt(value), offset);
    changed.writeUInt32LE(0, 16);
    changed.writeUInt32LE(crc32(changed.subarray(0, headerSize)), 16);
    return changed;
  };
  const lastUsable = [48, copyEntries - 1] as const;
  const primary = withFields([[32, last], lastUsable]);
  const copy = withFields([[24, last], [32, 1], lastUsable, [72, copyEntries]]);
  return [
    ...(protective === undefined ? [] : [{ offset: 0, data: withSectors(protective, last) }]),
    { offset: sectorSize, data: primary },
    { offset: copyEntries * sectorSize, data: Buffer.concat([entries, copy]) },
  ];
}

/** A protective boot record whose one entry, in whichever slot, takes so many sectors. */
function withSectors(protective: Buffer, sectors: number): Buffer {
  const changed = Buffer.from(protective);
  const slot = [446, 462, 478, 494].find((at) => changed.readUInt8(at + 4) !== 0) ?? 446;
  changed.writeUInt32LE(Math.min(sectors, 0xffffffff), slot + 12);
  return changed;
}
