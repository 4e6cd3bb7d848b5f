import { Failure } from '../failure/failure.js';
import type { BlockFile, BlockReader } from '../image/block-file.js';
import type { BlockMap } from '../image/block-map.js';
import type { ContentCheck } from '../image/content-check.js';
import type { ByteRange } from '../image/partition-table.js';
import type { ImageSource } from '../image/source.js';
import { largestSector } from './drive-writer.js';
import type { Slot, SlotPool } from './slot-pool.js';

/**
 * A piece of an image, as it is, in a slot that is held once, by whoever gets it: the slot's first byte is the image's byte `start`. Who
 * looks at it later than at once holds the slot as well.
 */
export class ImageWindow {
  readonly slot: Slot;
  readonly start: number;
  /** Bytes of the image; what follows them in the slot is zero up to the end of a sector. */
  readonly size: number;

  constructor(slot: Slot, start: number, size: number) {
    this.slot = slot;
    this.start = start;
    this.size = size;
    slot.bytes.fill(0, size, Math.ceil(size / largestSector) * largestSector);
  }

  /** The bytes of a range of the image that lies within the window; as many as it has. */
  bytesOf({ start, size }: ByteRange): Buffer {
    return this.slot.bytes.subarray(start - this.start, start - this.start + size);
  }
}

/** How an image is cut into windows. */
export interface WindowOptions {
  readonly pool: SlotPool;
  /** What of a file has to be read between two offsets. */
  readonly wantedWithin: (start: number, end: number) => readonly ByteRange[];
  /** What the image has to stand up to as it is; whoever read all windows finishes them. */
  readonly checks: readonly ContentCheck[];
}

/** The windows of an image in order: of a file only those that are wanted, of a stream all. */
export function imageWindows(source: ImageSource, options: WindowOptions): AsyncGenerator<ImageWindow> {
  return source.reader ? windowsOfFile(source.reader, options) : windowsOfStream(source.stream, options);
}

async function* windowsOfStream(
  chunks: AsyncIterable<Buffer>,
  { pool, checks }: WindowOptions,
): AsyncGenerator<ImageWindow> {
  let start = 0;
  let filled = 0;
  let slot: Slot | undefined;
  const finish = (full: Slot): ImageWindow => {
    const window = new ImageWindow(full, start, filled);
    for (const check of checks) check.pass(start, window.bytesOf(window));
    slot = undefined;
    start += filled;
    filled = 0;
    return window;
  };
  try {
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length;) {
        slot ??= await pool.take();
        const copied = chunk.copy(slot.bytes, filled, at);
        at += copied;
        filled += copied;
        if (filled === pool.slotSize) yield finish(slot);
      }
    }
    if (slot !== undefined) yield finish(slot);
  } finally {
    slot?.letGo();
  }
}

/** What can be read in any order into memory that is there already. */
export type WindowFile = Pick<BlockFile, 'size' | 'readInto'>;

/** Reads those windows of a file in which something matters or is to be checked, and of them only what is. */
export async function* windowsOfFile(file: WindowFile, options: WindowOptions): AsyncGenerator<ImageWindow> {
  for await (const { window, pieces } of readWindows(file, options)) {
    for (const check of options.checks) for (const piece of pieces) check.pass(piece.start, window.bytesOf(piece));
    yield window;
  }
}

/** A window of a file and what of it was read. */
interface ReadWindow {
  readonly window: ImageWindow;
  readonly pieces: readonly ByteRange[];
}

/** Reads windows a few ahead. */
async function* readWindows(
  file: WindowFile,
  { pool, wantedWithin, checks }: WindowOptions,
): AsyncGenerator<ReadWindow> {
  const readsAhead = 3;
  const ahead: Promise<ReadWindow>[] = [];
  try {
    for (let start = 0; start < file.size; start += pool.slotSize) {
      const end = Math.min(start + pool.slotSize, file.size);
      const wanted = checks.flatMap((check) => check.wantedWithin(start, end));
      const pieces = union([...wantedWithin(start, end), ...wanted]);
      if (pieces.length === 0) continue;
      const reading = readWindow(file, { window: new ImageWindow(await pool.take(), start, end - start), pieces });
      // Whoever awaits it gets its failure; until then it is nobody's.
      reading.catch(() => undefined);
      ahead.push(reading);
      const next = ahead.length >= readsAhead ? ahead.shift() : undefined;
      if (next !== undefined) yield await next;
    }
    for (let next = ahead.shift(); next !== undefined; next = ahead.shift()) yield await next;
  } finally {
    for (const read of await Promise.allSettled(ahead)) {
      if (read.status === 'fulfilled') read.value.window.slot.letGo();
    }
  }
}

async function readWindow(file: WindowFile, read: ReadWindow): Promise<ReadWindow> {
  for (const piece of read.pieces) await file.readInto(read.window.bytesOf(piece), piece.start);
  return read;
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
export async function learnMap(
  file: BlockReader,
  map: BlockMap,
  change: (bytes: Buffer, offset: number) => void = () => undefined,
): Promise<void> {
  for (let range = map.wanted; range !== undefined; range = map.wanted) {
    if (range.start + range.size > file.size) {
      map.answer(undefined);
      continue;
    }
    const bytes = await file.read(range.start, range.size);
    change(bytes, range.start);
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
