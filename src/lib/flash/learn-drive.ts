import type { Drive } from '../drives/drive.js';
import { interrupted } from '../failure/failure.js';
import { BlockMap } from '../image/block-map.js';
import { diskExtent } from '../image/disk-extent.js';
import { type ChangedRanges, layChangesOver } from '../image/overlay.js';
import { DriveReader } from './drive-reader.js';
import { learnMap } from './image-windows.js';

/** An open drive, and what is to be read of it. Whoever has it closes the reader. */
export interface LearntDrive {
  readonly reader: DriveReader;
  /** Bytes that an image of it has. */
  readonly size: number;
  readonly map: BlockMap;
  /** What moves the copy of the partition table to the end of the image. */
  readonly changes: ChangedRanges;
}

/**
 * Opens a drive to be read and learns what matters of it.
 *
 * @param everything whether an image of it goes up to its end and not only to that of its last partition
 */
export async function learnDrive(drive: Drive, everything: boolean, signal: AbortSignal): Promise<LearntDrive> {
  const map = new BlockMap();
  const reader = await DriveReader.open(drive, () => map.partitions);
  try {
    const extent = everything ? { size: reader.size, changes: [] } : await diskExtent(reader);
    await learnMap(reader, map, (bytes, offset) => {
      // Large file systems have many bitmaps, and slow drives take long for each.
      if (signal.aborted) throw interrupted();
      layChangesOver(bytes, offset, extent.changes);
    });
    const size = Math.min(reader.size, Math.ceil(extent.size / drive.sectorSize) * drive.sectorSize);
    return { reader, size, map, changes: extent.changes };
  } catch (error) {
    await reader.close();
    throw error;
  }
}
