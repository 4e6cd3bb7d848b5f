import type { Bmap } from '../image/bmap.js';
import type { Drive } from '../drives/drive.js';
import type { FlashedDrive } from '../flash/flash.js';
import type { FlashPlan } from '../flash/plan-flash.js';
import { formatBytes, formatDuration } from './format.js';

/** What a plan says to a person who is about to agree to it: the image, and all that tells each drive from another. */
export function planLines({ image, drives, everything, verify }: FlashPlan): string[] {
  const size = `${image.sizeIsExact ? '' : 'at least '}${formatBytes(image.size)}`;
  const amount = image.bytesToWrite === undefined ? 'what matters of it' : formatBytes(image.bytesToWrite);
  return [
    `image   ${image.name} (${image.format}, ${size})`,
    `write   ${everything ? 'all of it' : amount}, ${verify ? 'then read it back and compare' : 'without reading it back'}`,
    ...drives.map((drive) => `drive   ${describeDrive(drive)}`),
  ];
}

/** `/dev/sdb  31.9 GB  SanDisk Ultra  serial 4C530001  usb  holds resin-boot, resin-data`. */
function describeDrive(drive: Drive): string {
  const parts = [drive.path, formatBytes(drive.size)];
  if (drive.isFile) parts.push('file');
  if (drive.model !== undefined) parts.push(drive.model);
  if (drive.serial !== undefined) parts.push(`serial ${drive.serial}`);
  if (drive.bus !== undefined) parts.push(drive.bus);
  parts.push(drive.contents.length > 0 ? `holds ${drive.contents.join(', ')}` : 'no file system seen');
  return parts.join('  ');
}

/** `flashed /dev/sdb: 684 MB written and verified in 34s`. */
export function flashedLine({ path, bytesWritten, verifiedFrom, seconds }: FlashedDrive): string {
  const words = { medium: 'written and verified', cache: 'written and verified (not past the cache)' };
  const done = verifiedFrom === null ? 'written, not verified,' : words[verifiedFrom];
  return `flashed ${path}: ${formatBytes(bytesWritten)} ${done} in ${formatDuration(seconds)}`;
}

/** `checking the image against image.bmap`. */
export function bmapText({ name, algorithm }: Bmap): string {
  return algorithm === undefined
    ? `comparing the size of the image with ${name}, which has no checksums`
    : `checking the image against ${name}`;
}
