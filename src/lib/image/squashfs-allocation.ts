import type { Recogniser, UnusedFinder } from './file-systems.js';

/** mksquashfs pads its file systems to this. */
const padding = 4096;

/** What follows a squashfs in its partition, such as the hashes of dm-verity or an overlay, begins at most this far behind it. */
const neighbourhood = 1024 * 1024;

/** The end of the partition may hold a footer that says what follows the file system, as with Android Verified Boot. */
const footer = 1024 * 1024;

const superblockSize = 96;

/**
 * A squashfs of version 4 (linux/Documentation/filesystems/squashfs.rst) tells how long it is. What follows it is unused only if it begins
 * with zeros, and not at the end of the partition.
 */
export const recogniseSquashfs: Recogniser = (head, size) => {
  if (head.length < superblockSize || head.toString('latin1', 0, 4) !== 'hsqs') return undefined;
  const name = 'squashfs';
  if (head.readUInt16LE(28) !== 4 || head.readUInt16LE(30) !== 0) return { name, unused: 'features' };
  const bytesUsed = Number(head.readBigUInt64LE(40));
  const isSane = head.readUInt32LE(12) === 2 ** head.readUInt16LE(22) && bytesUsed >= superblockSize;
  if (!isSane || bytesUsed > size) return { name, unused: 'damaged' };
  return { name, unused: spaceBehind(Math.ceil(bytesUsed / padding) * padding, size) };
};

function spaceBehind(end: number, size: number): UnusedFinder {
  return function* (found) {
    const unusedEnd = size - footer;
    const unusedStart = end + neighbourhood;
    if (unusedStart >= unusedEnd) return undefined;
    const neighbours = yield { start: end, size: neighbourhood };
    if (neighbours === undefined) return 'unseen';
    if (!neighbours.equals(Buffer.alloc(neighbourhood))) return 'followed';
    found({ start: unusedStart, size: unusedEnd - unusedStart });
    return undefined;
  };
}
