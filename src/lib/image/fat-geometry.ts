/** Where everything lies in a FAT file system; offsets and sizes are bytes from the start of its partition. */
export interface FatGeometry {
  readonly bits: 12 | 16 | 32;
  readonly sectorSize: number;
  readonly clusterSize: number;
  /** Data clusters; they are numbered from 2. */
  readonly clusterCount: number;
  /** Where the copies of the allocation table lie that are in use, and the size of each. */
  readonly tablesAt: readonly number[];
  readonly tableSize: number;
  /** FAT12 and FAT16 have a root folder of fixed size in front of the data; FAT32 has its first cluster. */
  readonly root: { readonly at: number; readonly size: number } | { readonly cluster: number };
  readonly dataAt: number;
  /** Where FAT32 keeps its count of free clusters. */
  readonly infoAt: number | undefined;
  /** The label in the boot sector, without its padding. */
  readonly label: string;
  /** Bytes the whole file system takes. */
  readonly size: number;
}

const sectorSizes = [512, 1024, 2048, 4096];

/**
 * Reads the boot sector of a FAT file system (Microsoft's "FAT: General Overview of On-Disk Format" 1.03), or returns undefined when
 * these 512 bytes are not one.
 */
export function parseFatGeometry(sector: Buffer): FatGeometry | undefined {
  const jump = sector.readUInt8(0);
  if (sector.readUInt16LE(510) !== 0xaa55 || (jump !== 0xeb && jump !== 0xe9)) return undefined;
  const sectorSize = sector.readUInt16LE(11);
  const sectorsPerCluster = sector.readUInt8(13);
  const reserved = sector.readUInt16LE(14);
  const tables = sector.readUInt8(16);
  const rootEntries = sector.readUInt16LE(17);
  const sectors = sector.readUInt16LE(19) || sector.readUInt32LE(32);
  const shortTable = sector.readUInt16LE(22);
  const isFat32 = shortTable === 0;
  const tableSectors = isFat32 ? sector.readUInt32LE(36) : shortTable;
  const isPowerOfTwo = (value: number) => value > 0 && (value & (value - 1)) === 0;
  if (!sectorSizes.includes(sectorSize) || !isPowerOfTwo(sectorsPerCluster)) return undefined;
  if (reserved === 0 || tables === 0 || tableSectors === 0) return undefined;

  const tablesAt = reserved * sectorSize;
  const tableSize = tableSectors * sectorSize;
  const rootAt = tablesAt + tables * tableSize;
  const rootSize = Math.ceil((rootEntries * 32) / sectorSize) * sectorSize;
  const dataAt = rootAt + rootSize;
  const clusterSize = sectorsPerCluster * sectorSize;
  const size = sectors * sectorSize;
  const clustersInData = Math.floor((size - dataAt) / clusterSize);
  const bits = isFat32 ? 32 : clustersInData < 4085 ? 12 : 16;
  // A table too small for its data limits what is used, as in Linux.
  const clusterCount = Math.min(clustersInData, Math.floor((tableSize * 8) / bits) - 2);
  if (clusterCount <= 0) return undefined;

  // FAT32 can switch mirroring off and use one of the tables only.
  const flags = isFat32 ? sector.readUInt16LE(40) : 0;
  const inUse = (flags & 0x80) === 0 ? [...Array(tables).keys()] : [Math.min(flags & 0x0f, tables - 1)];
  const infoSector = isFat32 ? sector.readUInt16LE(48) : 0;
  const labelAt = isFat32 ? 71 : 43;
  const hasLabel = sector.readUInt8(labelAt - 5) === 0x29;
  return {
    bits,
    sectorSize,
    clusterSize,
    clusterCount,
    tablesAt: inUse.map((index) => tablesAt + index * tableSize),
    tableSize,
    root: isFat32 ? { cluster: sector.readUInt32LE(44) } : { at: rootAt, size: rootSize },
    dataAt,
    infoAt: infoSector === 0 || infoSector === 0xffff ? undefined : infoSector * sectorSize,
    label: hasLabel ? sector.toString('latin1', labelAt, labelAt + 11).trimEnd() : '',
    size,
  };
}
