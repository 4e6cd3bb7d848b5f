import { crc32 } from 'node:zlib';
import type { Drive } from '../drives/drive.js';
import { BlockMap } from '../image/block-map.js';
import { type ChangedRanges, layChangesOver } from '../image/overlay.js';
import type { ByteRange } from '../image/partition-table.js';
import { alignedBuffer } from './aligned-memory.js';
import type { DrivePiece, WrittenRun } from './drive-thread.js';
import { largestSector } from './drive-writer.js';
import type { ImageWindow } from './image-windows.js';

/** What is laid over an image: the same for all drives, or told for each; drives that get the same ranges share their memory. */
export type DriveChanges = ChangedRanges | ((drive: Drive) => ChangedRanges);

/** What is laid over an image for one drive. */
export function changesFor(drive: Drive, changes: DriveChanges): ChangedRanges {
  return typeof changes === 'function' ? changes(drive) : changes;
}

/** A run and its bytes, in aligned shared memory. */
export interface ImagePiece {
  readonly run: WrittenRun;
  readonly bytes: Buffer;
  /** Whether the bytes are the variant's own and stay; otherwise they are good only as long as the window is held. */
  readonly isOwn: boolean;
}

/** A piece as the thread of a drive takes it. */
export function asDrivePiece({ run, bytes }: ImagePiece): DrivePiece {
  return { start: run.start, bytes };
}

/** How runs are cut and padded. */
export interface PieceOptions {
  /** Whether everything is to be written, whatever the map says. */
  readonly everything: boolean;
  /** The end of the image is padded to whole sectors of this size. */
  readonly sectorSize: number;
  /** Places across which no run may lie. */
  readonly cuts: readonly number[];
}

const wasmPageSize = 64 * 1024;

/** Part of an image that has changes in it, with the changes. */
interface ChangedArea extends ByteRange {
  readonly bytes: Buffer;
}

/** An image as some drives get it: the image that is read, and changes, which only the areas that they touch are copied for. */
export class ImageVariant {
  /** What matters of the image with its changes: they may be where the image has free space. */
  readonly map = new BlockMap();
  readonly #changes: ChangedRanges;
  readonly #areas: readonly ChangedArea[];

  constructor(changes: ChangedRanges) {
    this.#changes = changes;
    this.#areas = makeAreas(changes);
  }

  /** Lays the changes over bytes of the image that lie at an offset. */
  change(bytes: Buffer, offset: number): void {
    layChangesOver(bytes, offset, this.#changes);
  }

  /** The bytes of a run that were changed, with the changes; undefined for any other run. */
  ownBytes(run: ByteRange): Buffer | undefined {
    const [area] = this.#areasWithin(run);
    return area?.bytes.subarray(run.start - area.start, run.start - area.start + run.size);
  }

  /** Teaches the map the next bytes of the image. */
  pass(content: Buffer, start: number): void {
    if (this.#areasWithin({ start, size: content.length }).length === 0) {
      this.map.pass(content);
      return;
    }
    const changed = Buffer.from(content);
    this.change(changed, start);
    this.map.pass(changed);
  }

  /** What is to be written of a window, in order. */
  piecesOf(window: ImageWindow, { everything, sectorSize, cuts }: PieceOptions): ImagePiece[] {
    const { start, size } = window;
    const areas = this.#areasWithin({ start, size });
    for (const area of areas) {
      const from = Math.max(area.start, start);
      window
        .bytesOf({ start: from, size: Math.min(area.start + area.size, start + size) - from })
        .copy(area.bytes, from - area.start);
      this.change(area.bytes, area.start);
    }
    const edges = areas.flatMap((area) => [area.start, area.start + area.size]);
    const used = everything ? [{ start, size }] : this.map.usedWithin(start, start + size);
    return used
      .map((run) => padRun(run, start + size, sectorSize))
      .flatMap((run) =>
        cutRun(
          run,
          [...cuts, ...edges].sort((a, b) => a - b),
        ),
      )
      .map((run) => {
        const own = this.ownBytes(run);
        const bytes = own ?? window.bytesOf(run);
        return { run: { ...run, checksum: crc32(bytes) }, bytes, isOwn: own !== undefined };
      });
  }

  #areasWithin({ start, size }: ByteRange): ChangedArea[] {
    return this.#areas.filter((area) => area.start < start + size && start < area.start + area.size);
  }
}

function makeAreas(changes: ChangedRanges): ChangedArea[] {
  const ranges: { start: number; size: number }[] = [];
  for (const { offset, data } of changes) {
    const start = Math.floor(offset / largestSector) * largestSector;
    const end = Math.ceil((offset + data.length) / largestSector) * largestSector;
    const last = ranges.at(-1);
    if (last !== undefined && start <= last.start + last.size) last.size = end - last.start;
    else ranges.push({ start, size: end - start });
  }
  const total = ranges.reduce((sum, { size }) => sum + size, 0);
  if (total === 0) return [];
  const memory = alignedBuffer(Math.ceil(total / wasmPageSize) * wasmPageSize);
  let used = 0;
  return ranges.map(({ start, size }) => {
    used += size;
    return { start, size, bytes: memory.subarray(used - size, used) };
  });
}

function padRun(run: ByteRange, end: number, sectorSize: number): ByteRange {
  return run.start + run.size === end ? { start: run.start, size: Math.ceil(run.size / sectorSize) * sectorSize } : run;
}

function cutRun({ start, size }: ByteRange, cuts: readonly number[]): ByteRange[] {
  const end = start + size;
  const starts = [start, ...new Set(cuts.filter((cut) => cut > start && cut < end))];
  return starts.map((from, index) => ({ start: from, size: (starts[index + 1] ?? end) - from }));
}
