import type { Bmap } from '../image/bmap.js';
import type { SourceFindings } from '../image/source-proof.js';
import type { FlashedDrive } from '../flash/flash-result.js';
import type { DriveExtras } from '../flash/plan-extras.js';
import type { FlashPlan, VerifyMode } from '../flash/plan-flash.js';
import { describeDrive, partitionLines } from './drive-text.js';
import { formatBytes, formatDuration } from './format.js';

const verifyText: Readonly<Record<VerifyMode, string>> = {
  full: 'then read it back and compare',
  sample: 'then read a sample of it back and compare',
  none: 'without reading it back',
};

const checkNames = { sha256: 'SHA-256 from', minisign: 'minisign signature', gpg: 'GPG signature' };

/** What a plan says to a person who is about to agree to it: the image, and all that tells each drive from another. */
export function planLines({ image, drives, extras, everything, verify }: FlashPlan): string[] {
  const size = `${image.sizeIsExact ? '' : 'at least '}${formatBytes(image.size)}`;
  const amount = image.bytesToWrite === undefined ? 'what matters of it' : formatBytes(image.bytesToWrite);
  return [
    `image   ${image.name} (${image.format}, ${size})`,
    `write   ${everything ? 'all of it' : amount}, ${verifyText[verify]}`,
    ...image.checks.map(({ kind, from }) => `check   ${checkNames[kind]} ${from}`),
    ...drives.flatMap((drive, index) => [
      `drive   ${describeDrive(drive)}`,
      ...[...partitionLines(drive), ...extrasLines(extras[index])].map((line) => `        ${line}`),
    ]),
  ];
}

/** What is done to a drive besides writing and verifying, one line each. */
function extrasLines(extras: DriveExtras | undefined): string[] {
  if (extras === undefined) return [];
  const { compare, resumedFrom, probe, discard, eject } = extras;
  const lines: string[] = [];
  if (probe) lines.push('its capacity is probed first');
  if (compare === 'everything') lines.push('what it holds is read first, and only what differs is written');
  if (resumedFrom !== null)
    lines.push(`an earlier flash was interrupted${placeText(resumedFrom)}; what is right is kept`);
  if (typeof discard === 'string') lines.push(`nothing is discarded: ${discard}`);
  else if (discard !== null) lines.push('what is not part of the image is discarded');
  if (eject !== null) lines.push(eject.way === 'nothing' ? eject.outcome : `at the end ${eject.outcome}`);
  return lines;
}

/** What is said when flashes that were interrupted are gone on with. */
export function resumeNotices({ drives, extras }: FlashPlan): string[] {
  return drives.flatMap((drive, index) => {
    const from = extras[index]?.resumedFrom ?? null;
    return from === null ? [] : `${drive.path}: resuming${placeText(from)}, checking what is there`;
  });
}

/** How far a flash came for certain; nothing where it had not yet been flushed. */
function placeText(reached: number): string {
  return reached === 0 ? '' : ` at ${formatBytes(reached)}`;
}

/** `checked the file: SHA-256 from SHA256SUMS`, and the SHA-256 of the image where all of it was read. */
export function findingLines({ name, sha256, checks }: SourceFindings & { readonly name: string }): string[] {
  const things = { file: 'the file', content: 'the image in the file', list: 'the list of checksums' };
  return [
    ...checks.map(({ kind, from, of }) => `checked ${things[of]}: ${checkNames[kind]} ${from}`),
    ...(sha256 === null ? [] : [`sha256 ${sha256} of the image in ${name}`]),
  ];
}

/** `flashed /dev/sdb: 684 MB written and verified in 34s`. */
export function flashedLine({ path, bytesWritten, bytesSkipped, bytesVerified, ...drive }: FlashedDrive): string {
  const { verifiedFrom, seconds } = drive;
  const share = Math.floor((bytesVerified / Math.max(1, bytesWritten + bytesSkipped)) * 100);
  const verified = share < 100 ? `written and ${share}% of it verified` : 'written and verified';
  const done =
    verifiedFrom === null
      ? 'written, not verified,'
      : `${verified}${verifiedFrom === 'cache' ? ' (not past the cache)' : ''}`;
  const skipped = bytesSkipped === 0 ? '' : ` (${formatBytes(bytesSkipped)} were there already)`;
  return `flashed ${path}: ${formatBytes(bytesWritten)} ${done}${skipped} in ${formatDuration(seconds)}`;
}

/** `checking the image against image.bmap`. */
export function bmapText({ name, algorithm }: Bmap): string {
  return algorithm === undefined
    ? `comparing the size of the image with ${name}, which has no checksums`
    : `checking the image against ${name}`;
}
