import { Failure, interrupted } from '../failure/failure.js';
import { type BlockFile, openBlockFile } from './block-file.js';
import type { ImageOrigin } from './image-origin.js';
import type { ByteRange } from './partition-table.js';

const readSize = 1024 * 1024;

/** Opens a file or a drive as the origin of an image. */
export async function openFileOrigin(path: string, signal: AbortSignal): Promise<ImageOrigin> {
  const blocks = await openBlockFile(path);
  try {
    const stats = await blocks.stat();
    const identity = await identityOf(blocks);
    const requireUnchanged = async () => {
      if ((await identityOf(blocks)) !== identity) throw sourceChanged(path);
    };
    return {
      name: path,
      size: blocks.size,
      identity,
      reader: blocks,
      file: {
        path,
        blocks,
        device: Number(stats.dev),
        inode: Number(stats.ino),
        isDevice: stats.isBlockDevice() ? Number(stats.rdev) : undefined,
      },
      stream: (range) => bytesOf(blocks, range ?? { start: 0, size: blocks.size }, requireUnchanged, signal),
      requireUnchanged,
      reopen: async () => {
        const again = await openFileOrigin(path, signal);
        if (again.identity === identity) return again;
        await again.close();
        throw sourceChanged(path);
      },
      stop: () => undefined,
      close: () => blocks.close(),
    };
  } catch (error) {
    await blocks.close();
    throw error;
  }
}

/** Reads one chunk ahead, so that whoever takes them need not wait. A chunk is good only until the next one is asked for. */
async function* bytesOf(
  file: BlockFile,
  range: ByteRange,
  requireUnchanged: () => Promise<void>,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const memory = Buffer.allocUnsafe(2 * readSize);
  const readAt = (at: number): Promise<Buffer> | undefined => {
    if (at >= range.size) return undefined;
    // Of two halves, one is read into while the other is used.
    const chunk = memory.subarray(at % memory.length).subarray(0, Math.min(readSize, range.size - at));
    const reading = file.readInto(chunk, range.start + at).then(() => chunk);
    // Whoever awaits it gets its failure; until then it is nobody's.
    reading.catch(() => undefined);
    return reading;
  };
  let next = readAt(0);
  for (let at = 0; next !== undefined; at += readSize) {
    if (signal.aborted) throw interrupted();
    try {
      const chunk: Buffer = await next;
      next = readAt(at + readSize);
      yield chunk;
    } catch (error) {
      // A file that ends early was shortened, which says more.
      await requireUnchanged();
      throw error;
    }
  }
  await requireUnchanged();
}

/** Tells whether a file is still the same, and unchanged. Whoever writes to a drive leaves no trace on its node. */
async function identityOf(file: BlockFile): Promise<string> {
  const { dev, ino, size, mtimeNs, rdev } = await file.stat();
  return file.isDrive ? `drive ${rdev} ${file.size}` : `file ${dev} ${ino} ${size} ${mtimeNs}`;
}

function sourceChanged(path: string): Failure {
  return new Failure('failed', 'source-changed', `${path} was changed or replaced while it was read`, {
    hint: 'Wait until nothing writes to it any more, and run the command again',
  });
}
