import type { FileHandle } from 'node:fs/promises';
import { whileDoing } from '../failure/while-doing.js';
import type { ProgressListener } from '../platform/progress.js';
import type { BlockFile } from './block-file.js';

/** How a copy is watched and stopped. */
export interface CopyOptions {
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
  /** What the copy is called in progress events and failures. */
  readonly name: string;
}

const chunkSize = 4 * 1024 * 1024;
const blockSize = 64 * 1024;
const zeros = Buffer.alloc(blockSize);

/** Copies an image into an empty file, with holes where the image has only zeros. */
export async function copyImage(source: BlockFile, target: FileHandle, options: CopyOptions): Promise<void> {
  const { signal, progress, name } = options;
  const buffer = Buffer.allocUnsafe(Math.min(chunkSize, source.size));
  const step = { type: 'step', id: name, phase: 'copy', total: source.size } as const;
  for (let offset = 0; offset < source.size; offset += chunkSize) {
    signal.throwIfAborted();
    progress({ ...step, state: 'active', current: offset });
    const chunk = buffer.subarray(0, Math.min(chunkSize, source.size - offset));
    await source.readInto(chunk, offset);
    try {
      for (const { start, end } of runsWithData(chunk)) {
        await writeAll(target, chunk.subarray(start, end), offset + start);
      }
    } catch (error) {
      throw whileDoing(`writing ${name} at byte ${offset}`, error);
    }
  }
  await target.truncate(source.size);
  progress({ ...step, state: 'done', current: source.size });
}

/** The parts of a chunk that hold anything but zeros, in units of `blockSize`. */
export function runsWithData(chunk: Buffer): { start: number; end: number }[] {
  const runs: { start: number; end: number }[] = [];
  for (let start = 0; start < chunk.length; start += blockSize) {
    const block = chunk.subarray(start, start + blockSize);
    if (block.equals(zeros.subarray(0, block.length))) continue;
    const end = start + block.length;
    const last = runs.at(-1);
    if (last?.end === start) last.end = end;
    else runs.push({ start, end });
  }
  return runs;
}

async function writeAll(target: FileHandle, data: Buffer, position: number): Promise<void> {
  for (let done = 0; done < data.length;) {
    done += (await target.write(data, done, data.length - done, position + done)).bytesWritten;
  }
}
