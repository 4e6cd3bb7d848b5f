import { crc32 } from 'node:zlib';
import type { Partition } from './partition-table.js';

/** Sector sizes in which a GPT may count: nearly always 512, on some drives 4096. */
export const guidSectorSizes: readonly number[] = [512, 4096];

/** The parts of a GPT header that matter, in bytes from the start of the disk. */
export interface GuidHeader {
  readonly sectorSize: number;
  /** Where this header and the other copy lie. */
  readonly at: number;
  readonly otherAt: number;
  readonly entriesAt: number;
  readonly entryCount: number;
  readonly entrySize: number;
  readonly entriesChecksum: number;
}

const signature = 'EFI PART';
const smallestHeader = 92;

/** A GPT header (UEFI 5.3.2) from the sector that holds it, or undefined when it is not one or its checksum is wrong. */
export function parseGptHeader(sector: Buffer, sectorSize: number): GuidHeader | undefined {
  if (sector.length < smallestHeader || sector.toString('latin1', 0, 8) !== signature) return undefined;
  const headerSize = sector.readUInt32LE(12);
  if (headerSize < smallestHeader || headerSize > sector.length) return undefined;
  const covered = Buffer.from(sector.subarray(0, headerSize));
  covered.writeUInt32LE(0, 16);
  if (crc32(covered) !== sector.readUInt32LE(16)) return undefined;
  const entryCount = sector.readUInt32LE(80);
  const entrySize = sector.readUInt32LE(84);
  // A sane table is 16 KB; a checksum that fits does not make a gigabyte of entries sane.
  if (entrySize < 128 || entryCount * entrySize > 1024 * 1024) return undefined;
  const bytesAt = (offset: number) => Number(sector.readBigUInt64LE(offset)) * sectorSize;
  return {
    sectorSize,
    at: bytesAt(24),
    otherAt: bytesAt(32),
    entriesAt: bytesAt(72),
    entryCount,
    entrySize,
    entriesChecksum: sector.readUInt32LE(88),
  };
}

/** The partitions in a GPT's entries, or undefined when their checksum is not the header's or one ends before it starts. */
export function parseGptEntries(entries: Buffer, header: GuidHeader): readonly Partition[] | undefined {
  const all = entries.subarray(0, header.entryCount * header.entrySize);
  if (crc32(all) !== header.entriesChecksum) return undefined;
  const partitions = Array.from({ length: header.entryCount }, (_, index) => {
    const entry = all.subarray(index * header.entrySize, (index + 1) * header.entrySize);
    const first = Number(entry.readBigUInt64LE(32));
    const last = Number(entry.readBigUInt64LE(40));
    const name = entry.toString('utf16le', 56, 128).replace(/\0.*$/s, '');
    return {
      number: index + 1,
      start: first * header.sectorSize,
      size: (last - first + 1) * header.sectorSize,
      type: guidText(entry.subarray(0, 16)),
      ...(name === '' ? {} : { name }),
    };
  }).filter((partition) => partition.type !== unusedType);
  return partitions.every((partition) => partition.size > 0) ? partitions : undefined;
}

/** The header of the primary copy as the backup's says it must be; its entries are to lie right behind it. */
export function primaryHeader(sector: Buffer, { sectorSize, at }: GuidHeader): Buffer {
  const made = Buffer.from(sector);
  made.writeBigUInt64LE(1n, 24);
  made.writeBigUInt64LE(BigInt(at / sectorSize), 32);
  made.writeBigUInt64LE(2n, 72);
  made.writeUInt32LE(0, 16);
  made.writeUInt32LE(crc32(made.subarray(0, made.readUInt32LE(12))), 16);
  return made;
}

const unusedType = '00000000-0000-0000-0000-000000000000';

/** A GUID in its usual spelling; its first three groups are stored little-endian. */
function guidText(bytes: Buffer): string {
  const group = (from: number, to: number, reversed: boolean) => {
    const part = Buffer.from(bytes.subarray(from, to));
    return (reversed ? part.reverse() : part).toString('hex');
  };
  return [group(0, 4, true), group(4, 6, true), group(6, 8, true), group(8, 10, false), group(10, 16, false)]
    .join('-')
    .toUpperCase();
}
