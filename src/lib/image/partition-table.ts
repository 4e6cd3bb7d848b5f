import { Failure } from '../failure/failure.js';
import type { BlockReader } from './block-file.js';
import { type GuidHeader, guidSectorSizes, parseGptEntries, parseGptHeader } from './guid-partition-table.js';
import {
  type BootRecordEntry,
  isExtended,
  isProtective,
  parseExtendedBootRecord,
  parseMasterBootRecord,
} from './master-boot-record.js';

/** One partition; `start` and `size` are bytes. */
export interface Partition {
  /** As Linux numbers it: MBR primaries are 1 to 4 and logical partitions follow from 5. */
  readonly number: number;
  readonly start: number;
  readonly size: number;
  /** MBR: the type byte as `0x0c`. GPT: the type GUID in upper case. */
  readonly type: string;
  /** The GPT name, if there is one. */
  readonly name?: string;
}

/** A range of bytes. */
export interface ByteRange {
  readonly start: number;
  readonly size: number;
}

/** The partitions of an image or drive, and where the table itself lies. */
export interface PartitionTable {
  readonly kind: 'gpt' | 'mbr' | 'none';
  /** Bytes per sector in which the table counts. */
  readonly sectorSize: number;
  /** In order of number; an MBR's extended container is not among them. */
  readonly partitions: readonly Partition[];
  /** The bytes that hold the table: boot records, GPT headers and GPT entries, sorted. */
  readonly regions: readonly ByteRange[];
  /** The first byte after everything the table speaks of; an image shorter than this is truncated. */
  readonly end: number;
  /** What is wrong with the table although it could be read, such as a damaged primary GPT. */
  readonly damage?: string;
}

const bootRecordSize = 512;

/**
 * Reads the partition table of an image or drive. `none` means that there is no table, as on an empty drive or a bare file
 * system. A GPT whose primary copy is damaged is read from its backup, and `damage` says so.
 *
 * @param options.primariesOnly leaves out the logical partitions of an MBR, whose records lie far behind its beginning
 */
export async function readPartitionTable(
  reader: BlockReader,
  options: { readonly primariesOnly?: boolean } = {},
): Promise<PartitionTable> {
  const none: PartitionTable = { kind: 'none', sectorSize: 512, partitions: [], regions: [], end: 0 };
  if (reader.size < bootRecordSize) return none;
  const entries = parseMasterBootRecord(await reader.read(0, bootRecordSize));
  if (entries === undefined) return none;
  if (entries.some(isProtective)) return readGuidTable(reader);
  return readBootRecords(reader, entries, options.primariesOnly === true);
}

async function readBootRecords(
  reader: BlockReader,
  primaries: readonly BootRecordEntry[],
  primariesOnly: boolean,
): Promise<PartitionTable> {
  const partitions = primaries.filter((entry) => !isExtended(entry)).map(partitionOf);
  const regions: ByteRange[] = [{ start: 0, size: bootRecordSize }];
  let logicals = 0;
  const container = primaries.find(isExtended);
  if (container !== undefined && !primariesOnly) {
    for await (const { sector, logical } of followExtendedChain(reader, container)) {
      regions.push({ start: sector * bootRecordSize, size: bootRecordSize });
      if (logical !== undefined) {
        logicals += 1;
        partitions.push(partitionOf({ ...logical, number: 4 + logicals }));
      }
    }
  }
  const ends = [...partitions, ...regions].map((one) => one.start + one.size);
  return { kind: 'mbr', sectorSize: bootRecordSize, partitions, regions, end: Math.max(...ends) };
}

/** The partition that an entry of a boot record describes. */
export function partitionOf(entry: BootRecordEntry): Partition {
  return {
    number: entry.number,
    start: entry.firstSector * bootRecordSize,
    size: entry.sectors * bootRecordSize,
    type: `0x${entry.type.toString(16).padStart(2, '0')}`,
  };
}

interface ExtendedStep {
  /** Where this extended boot record lies. */
  readonly sector: number;
  readonly logical: BootRecordEntry | undefined;
}

/** Walks the extended boot records; each must lie inside the container and behind none that was seen. */
async function* followExtendedChain(reader: BlockReader, container: BootRecordEntry): AsyncGenerator<ExtendedStep> {
  const seen = new Set<number>();
  let sector: number | undefined = container.firstSector;
  while (sector !== undefined) {
    if (seen.has(sector)) throw damagedChain(sector, 'it leads back to itself');
    seen.add(sector);
    if ((sector + 1) * bootRecordSize > reader.size) throw damagedChain(sector, 'it leads past the end');
    const record = parseExtendedBootRecord(
      await reader.read(sector * bootRecordSize, bootRecordSize),
      sector,
      container.firstSector,
    );
    if (record === undefined) throw damagedChain(sector, 'a record has no signature');
    yield { sector, logical: record.logical };
    sector = record.next;
  }
}

function damagedChain(sector: number, why: string): Failure {
  return new Failure(
    'failed',
    'partition-table-damaged',
    `the chain of logical partitions is damaged at sector ${sector}: ${why}`,
    { hint: 'The image is truncated or corrupt; get it again' },
  );
}

async function readGuidTable(reader: BlockReader): Promise<PartitionTable> {
  for (const sectorSize of guidSectorSizes) {
    const table = await readGuidCopy(reader, sectorSize, sectorSize);
    if (table !== undefined) return table;
  }
  for (const sectorSize of guidSectorSizes) {
    const table = await readGuidCopy(reader, sectorSize, reader.size - sectorSize);
    if (table !== undefined) return { ...table, damage: 'the primary GPT is damaged; its backup was read' };
  }
  throw new Failure('failed', 'partition-table-damaged', 'both copies of the GUID partition table are damaged', {
    hint: 'The image is truncated or corrupt; get it again',
  });
}

/** One copy of a GPT if its header and entries are there and their checksums hold. */
async function readGuidCopy(
  reader: BlockReader,
  sectorSize: number,
  headerAt: number,
): Promise<PartitionTable | undefined> {
  const readIfThere = async (start: number, size: number) =>
    start >= 0 && Number.isFinite(start) && start + size <= reader.size ? reader.read(start, size) : undefined;
  const sector = await readIfThere(headerAt, sectorSize);
  const header = sector && parseGptHeader(sector, sectorSize);
  if (header?.at !== headerAt) return undefined;
  const entryBytes = await readIfThere(header.entriesAt, header.entryCount * header.entrySize);
  const partitions = entryBytes && parseGptEntries(entryBytes, header);
  return partitions && { kind: 'gpt', sectorSize, partitions, ...guidExtent(header, partitions) };
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
