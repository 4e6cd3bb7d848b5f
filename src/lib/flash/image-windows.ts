import { Failure } from '../failure/failure.js';
import type { BlockFile } from '../image/block-file.js';
import type { BlockMap } from '../image/block-map.js';
import type { ContentCheck } from '../image/content-check.js';
import { type ChangedRanges, layChangesOver } from '../image/overlay.js';
import type { ByteRange } from '../image/partition-table.js';
import type { Slot, SlotPool } from './slot-pool.js';

/** A piece of an image in a slot that is held once, by whoever gets it: the slot's first byte is the image's byte `start`. */
export class ImageWindow {
  readonly slot: Slot;
  readonly start: number;
  /** What of it is to be written: aligned, sorted, in bytes of the image. The last run is padded with zeros. */
  readonly runs: readonly ByteRange[];

  constructor(slot: Slot, start: number, runs: readonly ByteRange[]) {
    this.slot = slot;
    this.start = start;
    this.runs = runs;
  }

  /** The bytes of a range of the image that lies within the window; as many as it has. */
  bytesOf({ start, size }: ByteRange): Buffer {
    return this.slot.bytes.subarray(start - this.start, start - this.start + size);
  }
}

/** How an image is cut into windows. */
export interface WindowOptions {
  readonly pool: SlotPool;
  /** What matters of the image. A stream teaches it while it flows; for a file it is complete. */
  readonly map: BlockMap;
  /** Whether everything is to be written, whatever the map says. */
  readonly everything: boolean;
  /** What the image has to stand up to as it is; whoever read all windows finishes them. */
  readonly checks: readonly ContentCheck[];
  /** Laid over the image before anything else looks at it. */
  readonly changes: ChangedRanges;
  /** The end of the image is padded to whole sectors of this size. */
  readonly sectorSize: number;
}

/** Cuts a stream into windows; each is shown to the map before the map is asked. */
export async function* windowsOfStream(
  chunks: AsyncIterable<Buffer>,
  { pool, map, everything, checks, changes, sectorSize }: WindowOptions,
): AsyncGenerator<ImageWindow> {
  let start = 0;
  let filled = 0;
  let slot: Slot | undefined;
  /** What of the filled part of the slot is to be written. */
  const finish = ({ bytes }: Slot): ByteRange[] => {
    const content = bytes.subarray(0, filled);
    for (const check of checks) check.pass(start, content);
    layChangesOver(content, start, changes);
    map.pass(content);
    const end = start + filled;
    const runs = everything ? [{ start, size: filled }] : map.usedWithin(start, end);
    bytes.fill(0, filled, roundUp(filled, sectorSize));
    return runs.map((run) => padRun(run, end, sectorSize));
  };
  try {
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length;) {
        slot ??= await pool.take();
        const copied = chunk.copy(slot.bytes, filled, at);
        at += copied;
        filled += copied;
        if (filled < pool.slotSize) continue;
        const runs = finish(slot);
        if (runs.length > 0) {
          const full = slot;
          slot = undefined;
          yield new ImageWindow(full, start, runs);
        }
        start += filled;
        filled = 0;
      }
    }
    const runs = slot === undefined || filled === 0 ? [] : finish(slot);
    if (slot !== undefined && runs.length > 0) {
      const last = slot;
      slot = undefined;
      yield new ImageWindow(last, start, runs);
    }
  } finally {
    slot?.letGo();
  }
}

/** What can be read in any order into memory that is there already. */
export type WindowFile = Pick<BlockFile, 'size' | 'readInto'>;

/** Reads those windows of a file in which something matters or is to be checked, and of them only what is. */
export async function* windowsOfFile(file: WindowFile, options: WindowOptions): AsyncGenerator<ImageWindow> {
  for await (const read of readWindows(file, options)) {
    const window = finishWindow(read, options);
    if (window.runs.length > 0) yield window;
    else window.slot.letGo();
  }
}

/** Reads windows a few ahead. */
async function* readWindows(
  file: WindowFile,
  { pool, map, everything, checks }: WindowOptions,
): AsyncGenerator<ReadWindow> {
  const readsAhead = 3;
  const ahead: Promise<ReadWindow>[] = [];
  try {
    for (let start = 0; start < file.size; start += pool.slotSize) {
      const end = Math.min(start + pool.slotSize, file.size);
      const runs = everything ? [{ start, size: end - start }] : map.usedWithin(start, end);
      const pieces = union([...runs, ...checks.flatMap((check) => check.wantedWithin(start, end))]);
      if (pieces.length === 0) continue;
      const reading = readWindow(file, { slot: await pool.take(), start, end, runs, pieces });
      // Whoever awaits it gets its failure; until then it is nobody's.
      reading.catch(() => undefined);
      ahead.push(reading);
      const next = ahead.length >= readsAhead ? ahead.shift() : undefined;
      if (next !== undefined) yield await next;
    }
    for (let next = ahead.shift(); next !== undefined; next = ahead.shift()) yield await next;
  } finally {
    for (const read of await Promise.allSettled(ahead)) if (read.status === 'fulfilled') read.value.slot.letGo();
  }
}

/** A window of a file as it was read: `pieces` are what its slot holds, `runs` what of them is to be written. */
interface ReadWindow {
  readonly slot: Slot;
  readonly start: number;
  readonly end: number;
  readonly runs: readonly ByteRange[];
  readonly pieces: readonly ByteRange[];
}

async function readWindow(file: WindowFile, window: ReadWindow): Promise<ReadWindow> {
  for (const piece of window.pieces) await file.readInto(within(window, piece), piece.start);
  return window;
}

function within({ slot, start }: ReadWindow, range: ByteRange): Buffer {
  return slot.bytes.subarray(range.start - start, range.start - start + range.size);
}

/** Checks what was read and makes of it what is to be written. */
function finishWindow(read: ReadWindow, { checks, changes, sectorSize }: WindowOptions): ImageWindow {
  const { slot, start, end, runs, pieces } = read;
  for (const check of checks) for (const piece of pieces) check.pass(piece.start, within(read, piece));
  for (const run of runs) layChangesOver(within(read, run), run.start, changes);
  slot.bytes.fill(0, end - start, roundUp(end - start, sectorSize));
  return new ImageWindow(
    slot,
    start,
    runs.map((run) => padRun(run, end, sectorSize)),
  );
}

/** Ranges as few sorted ones that do not overlap. */
function union(ranges: readonly ByteRange[]): ByteRange[] {
  const merged: { start: number; size: number }[] = [];
  for (const { start, size } of [...ranges].sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last !== undefined && start <= last.start + last.size) {
      last.size = Math.max(last.size, start + size - last.start);
    } else merged.push({ start, size });
  }
  return merged;
}

/** Learns the whole map of a file by reading what the map asks for. */
export async function learnMap(file: BlockFile, map: BlockMap, changes: ChangedRanges): Promise<void> {
  for (let range = map.wanted; range !== undefined; range = map.wanted) {
    if (range.start + range.size > file.size) {
      map.answer(undefined);
      continue;
    }
    const bytes = await file.read(range.start, range.size);
    layChangesOver(bytes, range.start, changes);
    map.answer(bytes);
  }
}

/** Fails when an image ends before its last partition does. */
export function requireWholeImage(name: string, map: BlockMap, size: number): void {
  if (map.partitionsEnd <= size) return;
  throw new Failure(
    'failed',
    'image-truncated',
    `${name} is truncated: it has ${size} bytes, but its partitions end at byte ${map.partitionsEnd}`,
    { hint: 'Get the image again, or write it as it is with --all' },
  );
}

function roundUp(size: number, unit: number): number {
  return Math.ceil(size / unit) * unit;
}

function padRun(run: ByteRange, imageEnd: number, sectorSize: number): ByteRange {
  return run.start + run.size === imageEnd ? { start: run.start, size: roundUp(run.size, sectorSize) } : run;
}
