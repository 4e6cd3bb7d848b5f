import { Failure } from '../failure/failure.js';
import type { BlockReader } from './block-file.js';
import {
  type GuidHeader,
  guidSectorSizes,
  parseGptEntries,
  parseGptHeader,
  primaryHeader,
} from './guid-partition-table.js';
import { type BootRecordEntry, isProtective, parseMasterBootRecord } from './master-boot-record.js';
import type { ChangedRanges } from './overlay.js';
import type { Partition, PartitionTable } from './partition-table.js';

/** A GPT from its primary copy, where the other cannot be had. */
export async function readGuidFront(reader: BlockReader): Promise<PartitionTable> {
  const primary = await readPrimaryCopy(reader);
  if (primary !== undefined) return primary.table;
  throw damagedGuidTable(
    'the primary GUID partition table is damaged, and its backup lies at the end of a packed image',
    {
      hint: 'Unpack the image first: from a file the backup can be read',
    },
  );
}

/** A GPT from either copy; `damage` says which one is bad. */
export async function readGuidTable(reader: BlockReader, protective: BootRecordEntry): Promise<PartitionTable> {
  const primary = await readPrimaryCopy(reader);
  if (primary === undefined) {
    const backup = await readBackupCopy(reader, protective);
    if (backup !== undefined) return { ...backup.table, damage: 'the primary GPT is damaged; its backup was read' };
    throw damagedGuidTable('both copies of the GUID partition table are damaged', {
      hint: 'The image is truncated or corrupt; get it again',
    });
  }
  const { table, header } = primary;
  // Where the image is truncated, that is what is told.
  if (table.end > reader.size) return table;
  const backup = await readGuidCopy(reader, header.sectorSize, header.otherAt);
  if (backup === undefined) return { ...table, damage: 'the backup GPT is damaged; the primary one was read' };
  const isSame = backup.header.entriesChecksum === header.entriesChecksum;
  return isSame ? table : { ...table, damage: 'the backup GPT is of other partitions; the primary one was read' };
}

function damagedGuidTable(message: string, options: { readonly hint: string }): Failure {
  return new Failure('failed', 'partition-table-damaged', message, options);
}

/** A copy of a GPT that is good. */
interface GuidCopy {
  readonly table: PartitionTable;
  readonly header: GuidHeader;
  /** The bytes of the sector with the header, and those of the entries. */
  readonly sector: Buffer;
  readonly entryBytes: Buffer;
}

async function readPrimaryCopy(reader: BlockReader): Promise<GuidCopy | undefined> {
  for (const sectorSize of guidSectorSizes) {
    const copy = await readGuidCopy(reader, sectorSize, sectorSize);
    if (copy !== undefined) return copy;
  }
  return undefined;
}

/** The backup lies at the end of the disk; where an image was written to a larger one, at the end that the protective entry names. */
async function readBackupCopy(reader: BlockReader, protective: BootRecordEntry): Promise<GuidCopy | undefined> {
  for (const sectorSize of guidSectorSizes) {
    const lastSector = protective.firstSector + protective.sectors - 1;
    for (const headerAt of [reader.size - sectorSize, lastSector * sectorSize]) {
      const copy = await readGuidCopy(reader, sectorSize, headerAt);
      if (copy !== undefined) return copy;
    }
  }
  return undefined;
}

/**
 * What repairs a damaged primary GPT, made from the backup; nothing where it is good, there is none, or the backup is not good either. A
 * larger drive needs it: there neither Linux nor firmware finds a backup that is not at the end.
 */
export async function primaryTableRepair(reader: BlockReader): Promise<ChangedRanges> {
  if (reader.size < 512) return [];
  const protective = parseMasterBootRecord(await reader.read(0, 512))?.find(isProtective);
  if (protective === undefined || (await readPrimaryCopy(reader)) !== undefined) return [];
  const backup = await readBackupCopy(reader, protective);
  if (backup === undefined) return [];
  const { header, sector, entryBytes } = backup;
  return [
    { offset: header.sectorSize, data: primaryHeader(sector, header) },
    { offset: 2 * header.sectorSize, data: entryBytes },
  ];
}

/** One copy of a GPT if its header and entries are there and their checksums hold. */
async function readGuidCopy(reader: BlockReader, sectorSize: number, headerAt: number): Promise<GuidCopy | undefined> {
  const readIfThere = async (start: number, size: number) =>
    start >= 0 && Number.isFinite(start) && start + size <= reader.size ? reader.read(start, size) : undefined;
  const sector = await readIfThere(headerAt, sectorSize);
  const header = sector && parseGptHeader(sector, sectorSize);
  if (sector === undefined || header?.at !== headerAt) return undefined;
  const entryBytes = await readIfThere(header.entriesAt, header.entryCount * header.entrySize);
  const partitions = entryBytes && parseGptEntries(entryBytes, header);
  if (entryBytes === undefined || partitions === undefined) return undefined;
  const table = { kind: 'gpt', sectorSize, partitions, ...guidExtent(header, partitions) } as const;
  return { table, header, sector, entryBytes };
}

/** Where both copies of a GPT lie, given the header of one, and the end of what it describes. */
function guidExtent(header: GuidHeader, partitions: readonly Partition[]): Pick<PartitionTable, 'regions' | 'end'> {
  const { sectorSize } = header;
  const entriesSize = Math.ceil((header.entryCount * header.entrySize) / sectorSize) * sectorSize;
  const last = Math.max(header.at, header.otherAt);
  // The backup's entries lie right after the usable sectors, the primary's (unless this is the backup) where it says.
  const primaryEntriesAt = header.at < header.otherAt ? header.entriesAt : 2 * sectorSize;
  const backupEntriesAt = header.at < header.otherAt ? last - entriesSize : header.entriesAt;
  return {
    regions: [
      { start: 0, size: 2 * sectorSize },
      { start: primaryEntriesAt, size: entriesSize },
      { start: backupEntriesAt, size: entriesSize },
      { start: last, size: sectorSize },
    ],
    end: Math.max(last + sectorSize, ...partitions.map((one) => one.start + one.size)),
  };
}
