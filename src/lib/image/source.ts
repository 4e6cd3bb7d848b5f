import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { Failure, interrupted } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { type BlockFile, openBlockFile } from './block-file.js';
import { ChunkStream } from './chunk-stream.js';
import { findZipImage } from './decode-zip.js';
import { detectFormat, formatHeadSize, type SourceFormat } from './source-format.js';
import { exactly, type Packing, statedSize, unpack } from './source-packing.js';
import { zstdContentSize } from './zstd-header.js';

/** An open image: its bytes in order and, where it is not packed, in any order. */
export interface ImageSource {
  /** What the user calls it: a path, or "standard input". */
  readonly name: string;
  readonly format: SourceFormat;
  /** Bytes of the unpacked image, where the format states them; for zstd the least it can be. */
  readonly size: number | undefined;
  /** Any bytes of the image, in any order; only for unpacked files. */
  readonly reader: BlockFile | undefined;
  /** The image from its first byte to its last; it can be read once. */
  readonly stream: ChunkStream;
  /** Where the file lies, to tell whether it is on a drive that is to be written; undefined for standard input. */
  readonly file: SourceFile | undefined;
  /** Bytes of the file read so far and in all. */
  readonly packedProgress: () => { readonly current: number; readonly total: number | undefined };
  readonly close: () => Promise<void>;
}

/** The identity of a source's file, as `stat` gives it. */
export interface SourceFile {
  readonly path: string;
  /** The device that holds the file. */
  readonly device: number;
  readonly inode: number;
  /** The device that the file is, when it is one. */
  readonly isDevice: number | undefined;
}

/** How a source is opened. */
export interface SourceOptions {
  /** The file inside a zip. */
  readonly entry?: string | undefined;
  /** What the source `-` stands for. */
  readonly standardInput: NodeJS.ReadableStream;
  readonly signal: AbortSignal;
}

const readSize = 1024 * 1024;

/**
 * Opens an image file, or standard input for `-`, and tells its format by content. The caller closes it. Damage shows while reading:
 * every way of reading fails with `archive-corrupt`.
 */
export async function openImageSource(location: string, options: SourceOptions): Promise<ImageSource> {
  return location === '-' ? openStandardInput(options) : openFile(location, options);
}

async function openStandardInput({ standardInput, signal, entry }: SourceOptions): Promise<ImageSource> {
  const name = 'standard input';
  if (entry !== undefined) throw zipNeedsFile();
  // Waiting for input that does not come must end as well, and must not keep the process alive.
  const stopReading = () => {
    if (standardInput instanceof Readable) standardInput.destroy();
  };
  signal.addEventListener('abort', stopReading, { once: true });
  let current = 0;
  const packed = new ChunkStream(
    (async function* () {
      try {
        for await (const chunk of standardInput) {
          const bytes = Buffer.from(chunk);
          current += bytes.length;
          yield bytes;
        }
      } catch (error) {
        throw signal.aborted ? interrupted() : whileDoing('reading standard input', error);
      }
    })(),
  );
  const head = await packed.peek(formatHeadSize);
  if (head.length === 0) throw emptySource(name);
  const format = detectFormat(head, name);
  if (format === 'zip') throw zipNeedsFile();
  const stream = new ChunkStream(unpack(packed, { format }, { name, signal }));
  return {
    name,
    format,
    size: format === 'zstd' ? zstdContentSize(head) : undefined,
    reader: undefined,
    stream,
    file: undefined,
    packedProgress: () => ({ current, total: undefined }),
    close: async () => {
      signal.removeEventListener('abort', stopReading);
      stopReading();
      await stream.close();
      await packed.close();
    },
  };
}

async function openFile(path: string, { entry, signal }: SourceOptions): Promise<ImageSource> {
  const file = await openBlockFile(path);
  try {
    const stats = await stat(path);
    if (file.size === 0) throw emptySource(path);
    const head = await file.read(0, Math.min(formatHeadSize, file.size));
    const format = detectFormat(head, path);
    if (entry !== undefined && format !== 'zip') {
      throw new Failure('usage', 'entry-without-zip', `${path} is not a zip file, so --entry means nothing`, {
        hint: 'Leave out --entry',
      });
    }
    const packing: Packing = format === 'zip' ? { format, entry: await findZipImage(path, entry) } : { format };
    const { start, packedSize: total } = packing.format === 'zip' ? packing.entry : { start: 0, packedSize: file.size };
    const size = await statedSize(file, packing, head);
    let current = 0;
    const packed = (async function* () {
      for (let at = 0; at < total; at += readSize) {
        if (signal.aborted) throw interrupted();
        const chunk = await file.read(start + at, Math.min(readSize, total - at));
        current = at + chunk.length;
        yield chunk;
      }
    })();
    const decoded = unpack(packed, packing, { name: path, signal });
    const stream = new ChunkStream(format === 'xz' && size !== undefined ? exactly(decoded, size, path) : decoded);
    return {
      name: path,
      format,
      size,
      reader: format === 'raw' ? file : undefined,
      stream,
      file: {
        path,
        device: stats.dev,
        inode: stats.ino,
        isDevice: stats.isBlockDevice() ? stats.rdev : undefined,
      },
      packedProgress: () => ({ current, total }),
      close: async () => {
        await stream.close();
        await file.close();
      },
    };
  } catch (error) {
    await file.close();
    throw whileDoing(`opening ${path}`, error);
  }
}

function emptySource(name: string): Failure {
  return new Failure('failed', 'image-empty', `${name} is empty`, { hint: 'Give an image' });
}

function zipNeedsFile(): Failure {
  return new Failure(
    'usage',
    'zip-needs-file',
    'a zip cannot be read from standard input: its directory is at its end',
    {
      hint: 'Give the path of the zip, or unpack it on the way: unzip -p image.zip | davit flash -',
    },
  );
}
