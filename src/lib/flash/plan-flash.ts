import type { Drive } from '../drives/drive.js';
import { requireFlashable } from '../drives/drive-refusal.js';
import type { DriveRisk } from '../drives/drive-risks.js';
import { withSize } from '../drives/file-as-drive.js';
import { findDrive } from '../drives/find-drive.js';
import { Failure } from '../failure/failure.js';
import { BlockMap } from '../image/block-map.js';
import { isProtective, parseMasterBootRecord } from '../image/master-boot-record.js';
import { type ChangedRanges, layChangesOver } from '../image/overlay.js';
import type { ImageSource } from '../image/source.js';
import { type PlannedCheck, plannedChecks, type SourceChecks } from '../image/source-checks.js';
import type { SourceFormat } from '../image/source-format.js';
import { tableReach } from '../image/table-reach.js';
import { fingerprintOf } from './flash-journal.js';
import { changesFor, type DriveChanges } from './image-variant.js';
import { learnMap, requireWholeImage } from './image-windows.js';
import { type DriveExtras, type ExtrasRequest, planExtras } from './plan-extras.js';
import { requireElsewhere } from './require-elsewhere.js';

/** How much of what was written is read back from the drive and compared: all, a sample, or nothing. */
export const verifyModes = ['full', 'sample', 'none'] as const;
export type VerifyMode = (typeof verifyModes)[number];

/** What is to be written where; a plain value, so that it can be shown before anything happens. */
export interface FlashPlan {
  readonly image: PlannedImage;
  readonly drives: readonly Drive[];
  /** What else is done to each of them, in the same order. */
  readonly extras: readonly DriveExtras[];
  /** Whether every byte of the image is written, not only those that matter. */
  readonly everything: boolean;
  readonly verify: VerifyMode;
}

/** What can be told about an image before it is read. */
export interface PlannedImage {
  readonly name: string;
  readonly format: SourceFormat;
  /** Bytes; for packed images that do not state it, the end of the last partition that is known. */
  readonly size: number;
  readonly sizeIsExact: boolean;
  /** Bytes that will be written, where that can be told: not for packed images, whose map is learnt on the way. */
  readonly bytesToWrite: number | undefined;
  /** Of its first bytes, to know it again. */
  readonly fingerprint: string;
  /** What the image is compared with while it is read. */
  readonly checks: readonly PlannedCheck[];
}

/** What a plan is made from. */
export interface FlashRequest {
  readonly source: ImageSource;
  /** What the user calls the drives, or paths of files that stand for a card, see `findDrive`. */
  readonly drives: readonly string[];
  /** Risks of writing these drives that the user takes. */
  readonly accepted?: readonly DriveRisk[];
  readonly everything?: boolean;
  readonly verify?: VerifyMode;
  /** Laid over the image as it is written. */
  readonly changes?: DriveChanges;
  readonly extras?: ExtrasRequest;
  /** What the source is compared with. */
  readonly checks?: SourceChecks;
}

/** Bytes of an image that are looked at to know it again and, of a packed one, to learn its partition table. */
const headSize = 64 * 1024;

/**
 * Checks that an image can be written to drives and says how, without opening a drive. Fails with `refused` for a drive that is in use, too
 * small or write-protected, that holds the running system or the image itself, and for what is not an image of a whole disk.
 */
export async function planFlash(request: FlashRequest): Promise<FlashPlan> {
  const { source, accepted = [], everything = false, verify = 'full' } = request;
  const drives = await Promise.all(request.drives.map((called) => findDrive(called, { accepted })));
  for (const [index, drive] of drives.entries()) {
    if (drives.findIndex((one) => one.identity === drive.identity) < index) {
      throw new Failure('usage', 'drive-twice', `${drive.path} is given twice`, { hint: 'Give each drive once' });
    }
    requireFlashable(drive);
    if (source.file !== undefined) await requireElsewhere(source.file, drive);
  }
  // Where each drive gets its own changes, the first one's stand for all in what is only said beforehand.
  const changes = drives.slice(0, 1).flatMap((drive) => changesFor(drive, request.changes ?? []));
  const { reach, ...planned } = await planImage(source, everything, changes);
  const image = { ...planned, checks: request.checks === undefined ? [] : plannedChecks(request.checks) };
  for (const drive of drives) if (!drive.isNew) requireRoom(drive, image);
  const sized = drives.map((drive) => withSize(drive, Math.max(image.size, reach)));
  const extras = await Promise.all(sized.map((drive) => planExtras(drive, image, request.extras)));
  return { image, drives: sized, extras, everything, verify };
}

/** What can be told of an image, and how far its partition table reaches, where its size is not known. */
async function planImage(
  source: ImageSource,
  everything: boolean,
  changes: ChangedRanges,
): Promise<Omit<PlannedImage, 'checks'> & { readonly reach: number }> {
  const { name, format, reader } = source;
  const map = new BlockMap();
  const head = await (reader?.read(0, Math.min(headSize, reader.size)) ?? source.stream.peek(headSize));
  if (reader === undefined) map.pass(head);
  else
    await learnMap(reader, map, (bytes, offset) => {
      layChangesOver(bytes, offset, changes);
    });
  if (!everything) requireTable(source, map, head);
  const exactSize = format === 'zstd' ? undefined : source.size;
  if (exactSize !== undefined && !everything) requireWholeImage(name, map, exactSize);
  const size = exactSize ?? Math.max(source.size ?? 0, map.partitionsEnd);
  const bytesToWrite = everything ? exactSize : reader && sizeOfRuns(map, reader.size);
  const sizeIsExact = exactSize !== undefined;
  const reach = sizeIsExact ? 0 : tableReach(head);
  return { name, format, size, sizeIsExact, bytesToWrite, fingerprint: fingerprintOf(head), reach };
}

function sizeOfRuns(map: BlockMap, size: number): number {
  return map.usedWithin(0, size).reduce((sum, run) => sum + run.size, 0);
}

/** A table that goes on beyond the bytes that were looked at is a table; one that goes on beyond the end of the image is not. */
function requireTable({ name, reader }: ImageSource, { kind }: BlockMap, head: Buffer): void {
  const isWhole = head.length < headSize;
  if (kind === 'gpt' || kind === 'mbr' || (kind === undefined && !isWhole)) return;
  if (parseMasterBootRecord(head)?.some(isProtective) === true) {
    const isPacked = reader === undefined;
    const words = `the ${isPacked ? 'primary ' : ''}GUID partition table of ${name} is damaged`;
    throw new Failure('failed', 'partition-table-damaged', words, {
      hint: isPacked
        ? 'Unpack the image first: from a file its backup can be read; or get it again'
        : 'The image is truncated or corrupt; get it again, or write it as it is with --all',
    });
  }
  throw new Failure('refused', 'not-an-image', `${name} is not the image of a disk: it has no partition table`, {
    hint: 'Give a disk image (.img, also packed), or write it as it is with --all',
  });
}

/** Fails with `refused` when an image is larger than a drive. */
export function requireRoom(drive: Drive, image: Pick<PlannedImage, 'name' | 'size'>): void {
  if (image.size <= drive.size) return;
  throw new Failure(
    'refused',
    'image-too-large',
    `${image.name} does not fit on ${drive.path}: it needs ${image.size} bytes, the drive has ${drive.size}`,
    {
      hint: drive.isNew
        ? `Its size could not be told before it was read; make the file first, large enough: truncate --size 8G ${drive.path}`
        : 'Use a larger card',
    },
  );
}
