import { stat } from 'node:fs/promises';
import { Failure, interrupted } from '../failure/failure.js';
import { BlockMap } from '../image/block-map.js';
import { BmapBuilder } from '../image/bmap-builder.js';
import type { WhyAllUsed } from '../image/file-systems.js';
import type { ByteRange } from '../image/partition-table.js';
import { SortedRanges } from '../image/sorted-ranges.js';
import type { ImageSource } from '../image/source.js';
import type { SourceFormat } from '../image/source-format.js';
import { DraftFile } from '../platform/draft-file.js';
import type { ProgressListener } from '../platform/progress.js';
import { imageWindows, learnMap, requireWholeImage } from './image-windows.js';
import { SlotPool } from './slot-pool.js';
import { StepMeter } from './step-meter.js';

/** What matters of an image, and where. Sizes and offsets are bytes. */
export interface ImageMap {
  readonly image: { readonly name: string; readonly format: SourceFormat; readonly size: number };
  readonly table: 'gpt' | 'mbr' | 'none';
  /** Bytes that a flash writes. */
  readonly used: number;
  readonly partitions: readonly MappedPartition[];
  /** What a flash writes, in order. */
  readonly ranges: readonly ByteRange[];
}

/** What matters of a partition. */
export interface MappedPartition {
  readonly number: number;
  readonly name: string | null;
  readonly start: number;
  readonly size: number;
  readonly fileSystem: string | null;
  readonly used: number;
  /** Why every byte of it matters, where that is so for a reason. */
  readonly whyAllUsed: WhyAllUsed | null;
}

/** How an image is mapped. */
export interface MapImageOptions {
  /** Where a bmap goes, if one is wanted. */
  readonly bmap?: { readonly path: string; readonly mayOverwrite: boolean } | undefined;
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

const windowSize = 2 * 1024 * 1024;
const windowCount = 6;

/** Finds out what a flash would write of an image, by the same means, and makes a bmap of it if one is wanted. */
export async function mapImage(source: ImageSource, options: MapImageOptions): Promise<ImageMap> {
  const { bmap, signal, progress } = options;
  if (signal.aborted) throw interrupted();
  const map = new BlockMap();
  if (source.reader !== undefined) await learnMap(source.reader, map);
  if (source.reader !== undefined && bmap === undefined) {
    return describe(source, map, source.reader.size, map.usedWithin(0, source.reader.size));
  }
  if (bmap !== undefined) await requireOther(source, bmap.path);
  const draft = bmap && (await DraftFile.begin(bmap.path, bmap));
  try {
    const builder = new BmapBuilder();
    const ranges: ByteRange[] = [];
    const meter = new StepMeter('map', source.name, () => source.size ?? map.partitionsEnd, progress);
    const pool = new SlotPool(windowCount, windowSize, signal);
    const wantedWithin = (start: number, end: number) => map.usedWithin(start, end);
    for await (const window of imageWindows(source, { pool, checks: [], wantedWithin })) {
      if (source.reader === undefined) map.pass(window.bytesOf(window));
      for (const run of map.usedWithin(window.start, window.start + window.size)) {
        if (draft !== undefined) builder.add(run, window.bytesOf(run));
        ranges.push(run);
        meter.add(run.size);
      }
      window.slot.letGo();
    }
    meter.done();
    const size = source.reader?.size ?? map.bytesPassed;
    await source.requireUnchanged();
    if (draft !== undefined) {
      requireWholeImage(source.name, map, size);
      await draft.handle.writeFile(builder.finish(size));
      await draft.complete();
    }
    return describe(source, map, size, ranges);
  } finally {
    await draft?.discard();
  }
}

async function requireOther({ file }: ImageSource, output: string): Promise<void> {
  const existing = await stat(output).catch(() => undefined);
  if (file === undefined || existing?.ino !== file.inode || existing.dev !== file.device) return;
  throw new Failure('usage', 'output-is-image', `${output} is the image itself`, { hint: 'Give another --output' });
}

function describe(source: ImageSource, map: BlockMap, size: number, runs: readonly ByteRange[]): ImageMap {
  const used = new SortedRanges();
  for (const run of runs) used.add(run);
  const ranges = used.within(0, size);
  return {
    image: { name: source.name, format: source.format, size },
    table: map.kind ?? 'none',
    used: sizeOf(ranges),
    partitions: map.spaces.map(({ partition, fileSystem, whyAllUsed }) => ({
      number: partition.number,
      name: partition.name ?? null,
      start: partition.start,
      size: partition.size,
      fileSystem: fileSystem ?? null,
      used: sizeOf(used.within(partition.start, partition.start + partition.size)),
      whyAllUsed: whyAllUsed ?? null,
    })),
    ranges,
  };
}

function sizeOf(ranges: readonly ByteRange[]): number {
  return ranges.reduce((sum, { size }) => sum + size, 0);
}
