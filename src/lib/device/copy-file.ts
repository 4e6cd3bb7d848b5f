import { allEnded } from '../platform/all-ended.js';
import type { FileEntry, Files, OpenFile } from '../platform/files.js';

/** Bytes of one read and one write: enough that a call of the system costs little beside its bytes, little enough to show progress on a slow link. */
const pieceBytes = 512 * 1024;

/** Pieces of one file that are on their way at once. */
const piecesAtOnce = 6;

/** Where so many bytes are zeros, beginning at a multiple of it, nothing is written. */
const holeBytes = 64 * 1024;

/** A file and where it is. */
export interface PlacedFile {
  readonly files: Files;
  readonly path: string;
}

/**
 * Copies the contents, mode and time of a file to a new one. Where there are only zeros nothing is written, if the file is one that may have
 * holes, so that it takes no more room than before.
 *
 * @param onBytes hears how many more bytes are done
 */
export async function copyFile(
  from: PlacedFile,
  entry: FileEntry,
  to: PlacedFile,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<number> {
  return whileOpen(await from.files.openToRead(from.path), async (source) =>
    whileOpen(await to.files.create(to.path, 0o600), async (target) => {
      // Files of /proc and /sys say that they are empty.
      const size = await (entry.size === 0
        ? copyToEnd(source, target, signal, onBytes)
        : copyPieces(source, entry, target, signal, onBytes));
      await target.setAttributes({ size, mode: entry.mode, modified: entry.modified });
      return size;
    }),
  );
}

/** Closes a file after the work with it; what the work fails with is told before what closing fails with. */
async function whileOpen<T>(file: OpenFile, work: (file: OpenFile) => Promise<T>): Promise<T> {
  let result: T;
  try {
    result = await work(file);
  } catch (error) {
    await file.close().catch(() => undefined);
    throw error;
  }
  await file.close();
  return result;
}

/** Copies what a file is said to have; returns where it ends if that is earlier. */
async function copyPieces(
  source: OpenFile,
  { size, isSparse }: FileEntry,
  target: OpenFile,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<number> {
  let [next, end] = [0, size];
  let broken: { readonly error: unknown } | undefined;
  const copyPiece = async (buffer: Buffer) => {
    signal.throwIfAborted();
    const position = next;
    next += pieceBytes;
    const wanted = buffer.subarray(0, Math.min(pieceBytes, size - position));
    const bytes = await source.read(wanted, position);
    if (bytes < wanted.length) end = Math.min(end, position + bytes);
    const content = wanted.subarray(0, bytes);
    if (broken !== undefined) return;
    const parts = isSparse ? withoutHoles(content) : [content];
    await allEnded(parts.map((part) => target.write(part, position + part.byteOffset - content.byteOffset)));
    onBytes(bytes);
  };
  const copyOn = async () => {
    const buffer = Buffer.allocUnsafe(Math.min(pieceBytes, size));
    while (next < end && broken === undefined) {
      await copyPiece(buffer).catch((error: unknown) => (broken ??= { error }));
    }
  };
  // All of them end before anything is closed: a server gives the handle of a closed file to the next one.
  await Promise.all(Array.from({ length: Math.min(piecesAtOnce, Math.ceil(size / pieceBytes)) }, copyOn));
  if (broken !== undefined) throw broken.error;
  return end;
}

/** Copies piece by piece until there is no more; returns where that is. */
async function copyToEnd(
  source: OpenFile,
  target: OpenFile,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<number> {
  const buffer = Buffer.allocUnsafe(pieceBytes);
  for (let position = 0; ;) {
    signal.throwIfAborted();
    const bytes = await source.read(buffer, position);
    if (bytes === 0) return position;
    await target.write(buffer.subarray(0, bytes), position);
    onBytes(bytes);
    position += bytes;
  }
}

const zeros = Buffer.alloc(holeBytes);

/** The parts of a content between its holes. */
function withoutHoles(content: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  let start = 0;
  for (let position = 0; position < content.length; position += holeBytes) {
    const block = content.subarray(position, position + holeBytes);
    if (!block.equals(zeros.subarray(0, block.length))) continue;
    parts.push(content.subarray(start, position));
    start = position + block.length;
  }
  return [...parts, content.subarray(start)].filter((part) => part.length > 0);
}
