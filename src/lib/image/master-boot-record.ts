/** One used entry of a boot record, in sectors of 512 bytes from the start of the disk. */
export interface BootRecordEntry {
  /** The slot, from 1; a logical partition's number is counted by whoever follows the chain. */
  readonly number: number;
  readonly type: number;
  readonly firstSector: number;
  readonly sectors: number;
}

/** Type bytes of a container for logical partitions: CHS, LBA, and Linux's own. */
const extendedTypes: readonly number[] = [0x05, 0x0f, 0x85];

const tableAt = 446;
const entrySize = 16;

/** True for the container of logical partitions. */
export function isExtended(entry: BootRecordEntry): boolean {
  return extendedTypes.includes(entry.type);
}

/** True for the entry that says: the real table is a GPT. */
export function isProtective(entry: BootRecordEntry): boolean {
  return entry.type === 0xee;
}

/**
 * The used entries of a master boot record (the first 512 bytes of a disk), or undefined when there is none: no signature, or the
 * boot sector of a bare file system, which carries the same signature but code or text where the table would be.
 */
export function parseMasterBootRecord(sector: Buffer): readonly BootRecordEntry[] | undefined {
  if (!hasSignature(sector) || !looksLikeTable(sector)) return undefined;
  const entries = usedEntries(sector);
  return entries.length === 0 && looksLikeFileSystem(sector) ? undefined : entries;
}

/** What one extended boot record says, in sectors from the start of the disk. */
export interface ExtendedBootRecord {
  readonly logical: BootRecordEntry | undefined;
  /** Where the next record lies. */
  readonly next: number | undefined;
}

/**
 * An extended boot record, or undefined when it has no signature.
 *
 * @param at the sector it lies in, from which it counts its logical partition
 * @param containerStart the first sector of the extended partition, from which it counts the next record
 */
export function parseExtendedBootRecord(
  sector: Buffer,
  at: number,
  containerStart: number,
): ExtendedBootRecord | undefined {
  if (!hasSignature(sector)) return undefined;
  const entries = usedEntries(sector);
  const logical = entries.find((entry) => !isExtended(entry));
  const link = entries.find(isExtended);
  return {
    logical: logical && { ...logical, firstSector: at + logical.firstSector },
    next: link && containerStart + link.firstSector,
  };
}

function usedEntries(sector: Buffer): BootRecordEntry[] {
  return [0, 1, 2, 3]
    .map((slot) => {
      const at = tableAt + slot * entrySize;
      return {
        number: slot + 1,
        type: sector.readUInt8(at + 4),
        firstSector: sector.readUInt32LE(at + 8),
        sectors: sector.readUInt32LE(at + 12),
      };
    })
    .filter((entry) => entry.type !== 0 && entry.sectors !== 0);
}

function hasSignature(sector: Buffer): boolean {
  return sector.length >= 512 && sector.readUInt16LE(510) === 0xaa55;
}

/** In a real table each entry is marked active (0x80) or not (0x00). */
function looksLikeTable(sector: Buffer): boolean {
  return [0, 1, 2, 3].every((slot) => (sector.readUInt8(tableAt + slot * entrySize) & 0x7f) === 0);
}

/** A FAT boot sector starts with a jump and gives a sector size. */
function looksLikeFileSystem(sector: Buffer): boolean {
  const jump = sector.readUInt8(0);
  return (jump === 0xeb || jump === 0xe9) && [512, 1024, 2048, 4096].includes(sector.readUInt16LE(11));
}
