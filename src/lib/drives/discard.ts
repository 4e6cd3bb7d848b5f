import path from 'node:path';
import { findProgram, runChecked } from '../platform/child-process.js';
import type { Drive } from './drive.js';
import { blockAttribute, type HostView, thisHost } from './host-view.js';

/** A range of bytes of a drive. */
interface ByteRange {
  readonly start: number;
  readonly size: number;
}

/** How a drive takes it when it is told that it may forget a range. */
export interface Discarding {
  readonly program: string;
  /** Bytes; what begins and ends at multiples of this, counted from `alignment`, can be forgotten. */
  readonly granularity: number;
  readonly alignment: number;
}

/** Cards erase in units of about this size, so that forgetting less frees nothing, and each request costs some time. */
const smallestDiscard = 4 * 1024 * 1024;

/** Bytes of one request to the drive, which cannot be interrupted. */
const requestSize = 1024 * 1024 * 1024;

/** How to discard on a drive, or in a few words why that cannot be done. */
export async function planDiscard(
  drive: Pick<Drive, 'path' | 'isFile' | 'sectorSize'>,
  host: HostView = thisHost,
): Promise<Discarding | string> {
  if (drive.isFile) return 'it is a file';
  const attribute = async (name: string) => Number((await blockAttribute(host, path.basename(drive.path), name)) ?? 0);
  if ((await attribute('queue/discard_max_bytes')) === 0) return 'the drive or its reader does not support it';
  const program = await findProgram('blkdiscard');
  if (program === undefined) return 'the program blkdiscard is not installed';
  return {
    program,
    granularity: Math.max(drive.sectorSize, await attribute('queue/discard_granularity')),
    alignment: await attribute('discard_alignment'),
  };
}

/** The ranges between `start` and `end` that no run touches, cut to what a drive can forget. The runs are sorted. */
export function discardableRanges(
  runs: readonly ByteRange[],
  { start, end }: { readonly start: number; readonly end: number },
  { granularity, alignment }: Pick<Discarding, 'granularity' | 'alignment'>,
): ByteRange[] {
  const found: ByteRange[] = [];
  const add = (from: number, to: number) => {
    const first = Math.ceil((from - alignment) / granularity) * granularity + alignment;
    const last = Math.floor((to - alignment) / granularity) * granularity + alignment;
    if (last - first >= smallestDiscard) found.push({ start: first, size: last - first });
  };
  let at = start;
  for (const one of runs) {
    if (one.start >= end) break;
    add(at, one.start);
    at = Math.max(at, one.start + one.size);
  }
  add(at, end);
  return found;
}

/**
 * Tells a drive that it may forget ranges, after which they read back as anything. Whoever calls this holds the drive open exclusively.
 *
 * @param onDone called with the bytes of each range that is done
 */
export async function discard(
  drive: Pick<Drive, 'path'>,
  ranges: readonly ByteRange[],
  { program }: Discarding,
  options: { readonly signal: AbortSignal; readonly onDone?: (bytes: number) => void },
): Promise<void> {
  for (const { start, size } of ranges) {
    // Without --force it would want the drive for itself.
    const range = ['--offset', String(start), '--length', String(size), '--step', String(requestSize)];
    const words = ['--force', ...range, drive.path];
    const doing = `discarding ${size} bytes at byte ${start} of ${drive.path}`;
    await runChecked(doing, program, words, { signal: options.signal });
    options.onDone?.(size);
  }
}
