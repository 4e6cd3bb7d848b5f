import { parseFatGeometry, type FatGeometry } from './fat-geometry.js';
import { tableEntry } from './fat-table.js';
import type { Recogniser, UnusedFinder, WhyAllUsed } from './file-systems.js';

const bootSectorSize = 512;

/** Tables are looked at in pieces that hold whole entries of 12, 16 and 32 bits. */
const pieceSize = 3 * 256 * 1024;

/** A FAT12, FAT16 or FAT32 file system: clusters that its first table calls free are unused. */
export const recogniseFat: Recogniser = (head, size) => {
  if (head.length < bootSectorSize) return undefined;
  const bootSector = head.subarray(0, bootSectorSize);
  const geometry = parseFatGeometry(bootSector);
  if (geometry === undefined) return undefined;
  const name = `fat${geometry.bits}`;
  if (geometry.size > size) return { name, unused: 'damaged' };
  if (isMarked(geometry, bootSector)) return { name, unused: 'unclean' };
  return { name, unused: freeClusters(geometry, bootSector.readUInt8(21)) };
};

function freeClusters(geometry: FatGeometry, mediaByte: number): UnusedFinder {
  const { bits, tablesAt, tableSize, clusterSize, clusterCount, dataAt } = geometry;
  const [tableAt = 0] = tablesAt;
  const perPiece = (pieceSize * 8) / bits;
  return function* (found) {
    for (let first = 0; first < clusterCount + 2; first += perPiece) {
      const start = (first * bits) / 8;
      const piece = yield { start: tableAt + start, size: Math.min(pieceSize, tableSize - start) };
      if (piece === undefined) return 'unseen';
      const why = first === 0 ? faultOfTable(geometry, piece, mediaByte) : undefined;
      if (why !== undefined) return why;
      const end = Math.min(first + perPiece, clusterCount + 2);
      for (let cluster = Math.max(2, first); cluster < end; cluster += 1) {
        if (tableEntry(piece, bits, cluster - first) !== 0) continue;
        found({ start: dataAt + (cluster - 2) * clusterSize, size: clusterSize });
      }
    }
    return undefined;
  };
}

/** Whether the boot sector has the mark of Windows NT and Linux for a file system that is mounted, or whose medium has faults. */
function isMarked({ bits }: FatGeometry, bootSector: Buffer): boolean {
  return (bootSector.readUInt8(bits === 32 ? 65 : 37) & 3) !== 0;
}

/** The first entry of a table repeats the media byte of the boot sector; the second has clear bits after a crash or a fault. */
function faultOfTable({ bits }: FatGeometry, table: Buffer, mediaByte: number): WhyAllUsed | undefined {
  if (table.readUInt8(0) !== mediaByte) return 'damaged';
  const cleanAndFaultless = { 12: 0, 16: 0xc000, 32: 0x0c000000 }[bits];
  return (tableEntry(table, bits, 1) & cleanAndFaultless) === cleanAndFaultless ? undefined : 'unclean';
}
