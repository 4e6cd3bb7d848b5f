import { Failure } from '../failure/failure.js';
import type { BlockReader } from './block-file.js';
import {
  type BootRecordEntry,
  isExtended,
  isProtective,
  parseExtendedBootRecord,
  parseMasterBootRecord,
} from './master-boot-record.js';
import { readGuidFront, readGuidTable } from './read-guid-table.js';

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
  /** What is wrong with the table although it could be read, such as a damaged copy of a GPT. */
  readonly damage?: string;
  /** Whether there are logical partitions that were left out. */
  readonly isPartial?: boolean;
}

const bootRecordSize = 512;

/** Linux numbers no more than this many partitions of a disk; a chain of logical ones that is longer is damaged. */
export const mostPartitions = 255;

/**
 * Reads the partition table of an image or drive. `none` means that there is no table, as on an empty drive or a bare file
 * system. A GPT of which one copy is damaged is read from the other, and `damage` says so.
 *
 * @param options.frontOnly reads nothing that lies far behind the beginning: neither the logical partitions of an MBR nor the backup of a GPT
 */
export async function readPartitionTable(
  reader: BlockReader,
  options: { readonly frontOnly?: boolean } = {},
): Promise<PartitionTable> {
  const { frontOnly = false } = options;
  const none: PartitionTable = { kind: 'none', sectorSize: 512, partitions: [], regions: [], end: 0 };
  if (reader.size < bootRecordSize) return none;
  const entries = parseMasterBootRecord(await reader.read(0, bootRecordSize));
  if (entries === undefined) return none;
  const protective = entries.find(isProtective);
  if (protective === undefined) return readBootRecords(reader, entries, frontOnly);
  return frontOnly ? readGuidFront(reader) : readGuidTable(reader, protective);
}

/** Partitions that claim the same bytes, each with the first other one that does. */
export function overlappingPartitions({ partitions }: PartitionTable): (readonly [Partition, Partition])[] {
  return partitions.flatMap((one, index) => {
    const other = partitions.slice(index + 1).find((next) => overlap(one, next));
    return other === undefined ? [] : [[one, other] as const];
  });
}

/** Whether two ranges have bytes in common. */
export function overlap(a: ByteRange, b: ByteRange): boolean {
  return a.start < b.start + b.size && b.start < a.start + a.size;
}

async function readBootRecords(
  reader: BlockReader,
  primaries: readonly BootRecordEntry[],
  frontOnly: boolean,
): Promise<PartitionTable> {
  const partitions = primaries.filter((entry) => !isExtended(entry)).map(partitionOf);
  const regions: ByteRange[] = [{ start: 0, size: bootRecordSize }];
  let logicals = 0;
  const container = primaries.find(isExtended);
  if (container !== undefined && !frontOnly) {
    for await (const { sector, logical } of followExtendedChain(reader, container)) {
      regions.push({ start: sector * bootRecordSize, size: bootRecordSize });
      if (logical !== undefined) {
        logicals += 1;
        partitions.push(partitionOf({ ...logical, number: 4 + logicals }));
      }
    }
  }
  const ends = [...partitions, ...regions].map((one) => one.start + one.size);
  const isPartial = container !== undefined && frontOnly;
  return { kind: 'mbr', sectorSize: bootRecordSize, partitions, regions, end: Math.max(...ends), isPartial };
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
    if (seen.size >= mostPartitions) throw damagedChain(sector, `it has more than ${mostPartitions} partitions`);
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
