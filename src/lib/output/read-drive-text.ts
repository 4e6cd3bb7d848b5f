import type { ReadDriveResult } from '../flash/read-drive.js';
import { formatBytes, formatDuration } from './format.js';

/** `read /dev/sdb: 684 MB of 31.9 GB in 34s, image card.img of 2.1 GB`, with the SHA-256 if it was computed. */
export function readDriveLine({ drive, image, bytesRead, seconds }: ReadDriveResult): string {
  const amount = `${formatBytes(bytesRead)} of ${formatBytes(drive.size)} in ${formatDuration(seconds)}`;
  const sum = image.sha256 === null ? '' : `, sha256 ${image.sha256}`;
  return `read ${drive.path}: ${amount}, image ${image.path} of ${formatBytes(image.size)}${sum}`;
}
