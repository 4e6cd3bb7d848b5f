import { constants, copyFile, type FileHandle, open } from 'node:fs/promises';
import type { ProgressListener } from '../platform/progress.js';
import { openBlockFile } from './block-file.js';

/** How a copy is watched and stopped. */
export interface CopyOptions {
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
  /** What the copy is called in progress events; by default its path. */
  readonly name?: string;
}

const chunkSize = 4 * 1024 * 1024;
const blockSize = 64 * 1024;
const zeros = Buffer.alloc(blockSize);

/**
 * Copies an image file as cheaply as the file system allows: as a clone that shares its blocks (Btrfs, XFS, APFS), else with holes
 * where the image has only zeros. The copy must not exist yet; the caller removes it after a failure.
 */
export async function copyImage(from: string, to: string, options: CopyOptions): Promise<void> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
  } catch {
    // Not every file system can clone, and each says so in its own way; what else is wrong shows when copying.
    await copyWithHoles(from, to, options);
  }
}

async function copyWithHoles(from: string, to: string, { signal, progress, name = to }: CopyOptions): Promise<void> {
  const source = await openBlockFile(from);
  try {
    const target = await open(to, 'wx', 0o600);
    try {
      const buffer = Buffer.allocUnsafe(chunkSize);
      const step = { type: 'step', id: name, phase: 'copy', total: source.size } as const;
      for (let offset = 0; offset < source.size; offset += chunkSize) {
        signal.throwIfAborted();
        progress({ ...step, state: 'active', current: offset });
        const chunk = buffer.subarray(0, Math.min(chunkSize, source.size - offset));
        await source.readInto(chunk, offset);
        for (const { start, end } of runsWithData(chunk))
          await writeAll(target, chunk.subarray(start, end), offset + start);
      }
      await target.truncate(source.size);
      progress({ ...step, state: 'done', current: source.size });
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
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
