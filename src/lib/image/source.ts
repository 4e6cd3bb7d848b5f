import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import type { ProgressListener } from '../platform/progress.js';
import type { BlockFile } from './block-file.js';
import { ChunkStream } from './chunk-stream.js';
import { readDmgTrailer } from './dmg-trailer.js';
import { openFileOrigin } from './file-origin.js';
import { restoreImage } from './image-journal.js';
import type { ImageOrigin, OriginFile } from './image-origin.js';
import type { ByteRange } from './partition-table.js';
import { httpUrl } from './source-location.js';
import type { SourceProof } from './source-proof.js';
import { detectFormat, formatHeadSize, type SourceFormat } from './source-format.js';
import { type Packing, statedSize, unpack } from './source-packing.js';
import { standardInputOrigin } from './standard-input-origin.js';
import { readXzBlocks } from './xz-index.js';
import { type ChooseEntry, findZipImage } from './zip-image.js';
import type { UrlOptions } from './url-origin.js';

/** An open image: its bytes in order and, where it is not packed, in any order. */
export interface ImageSource {
  /** What the user calls it: a path, a URL without secrets, or "standard input". */
  readonly name: string;
  readonly format: SourceFormat;
  /** Bytes of the unpacked image, where the format states them; for zstd the least it can be. */
  readonly size: number | undefined;
  /** Says which image this is: equal for two openings only if both give the same bytes. Undefined for standard input. */
  readonly identity: string | undefined;
  /** Any bytes of the image, in any order; only for unpacked files. */
  readonly reader: BlockFile | undefined;
  /** The image from its first byte to its last; it can be read once. */
  readonly stream: ChunkStream;
  /** The file that the image comes from; undefined for any other origin. */
  readonly file: OriginFile | undefined;
  /** Packed bytes read so far and in all. */
  readonly packedProgress: () => { readonly current: number; readonly total: number | undefined };
  /**
   * Opens the same image anew, to be read from its first byte, whether or not this one has been closed; undefined for standard input. Fails
   * with `source-changed` when it is no longer the same.
   */
  readonly again: (() => Promise<ImageSource>) | undefined;
  /** Fails with `source-changed` when the image was changed since it was opened; whoever uses `reader` calls it at the end. */
  readonly requireUnchanged: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** How a source is opened. */
export interface SourceOptions {
  /** The file inside a zip. */
  readonly entry?: string | undefined;
  /** Asked for the entry when a zip holds several files that may be the image; without it that is a failure. */
  readonly chooseEntry?: ChooseEntry | undefined;
  /** What the source `-` stands for. */
  readonly standardInput: NodeJS.ReadableStream;
  readonly signal: AbortSignal;
  /** Begun when it is known what the source is, and given the file as it is read. */
  readonly proof?: SourceProof;
  /** Told when the connection to a URL is lost. */
  readonly progress?: ProgressListener;
  /** Time limits and tries for a URL other than the usual ones. */
  readonly http?: UrlOptions['http'];
}

/**
 * Opens an image file, a URL, or standard input for `-`, and tells its format by content. The caller closes it. Damage shows while reading:
 * every way of reading fails with `archive-corrupt`.
 */
export async function openImageSource(location: string, options: SourceOptions): Promise<ImageSource> {
  const { standardInput, signal } = options;
  if (location === '-') return openOrigin(standardInputOrigin(standardInput, signal), options);
  const url = httpUrl(location);
  if (url !== undefined) {
    const { openUrlOrigin } = await import('./url-origin.js');
    return openOrigin(await openUrlOrigin(url, options), options);
  }
  for (const text of await restoreImage(location)) options.progress?.({ type: 'notice', level: 'warning', text });
  return openOrigin(await openFileOrigin(location, signal), options);
}

/** Opens the image that an origin holds; closing the image closes the origin. */
async function openOrigin(
  origin: ImageOrigin,
  options: Pick<SourceOptions, 'entry' | 'chooseEntry' | 'signal' | 'proof'>,
): Promise<ImageSource> {
  const { name, reopen, requireUnchanged } = origin;
  const { signal, proof } = options;
  let current = 0;
  const read: ImageOrigin['stream'] = async function* (range) {
    for await (const chunk of origin.stream(range)) {
      current += chunk.length;
      yield chunk;
    }
  };
  const whole = new ChunkStream(read());
  try {
    const head = await whole.peek(formatHeadSize);
    if (head.length === 0) throw new Failure('failed', 'image-empty', `${name} is empty`, { hint: 'Give an image' });
    const packing = await findPacking({ ...origin, stream: read }, head, options);
    const size = statedSize(origin, packing, head);
    await proof?.begin({ name, size: origin.size, isPacked: packing.format !== 'raw' });
    const file = proof?.readsFile === true ? proof.passFile(whole) : undefined;
    let packed: AsyncIterable<Buffer> = file ?? whole;
    if (packing.format === 'zip' && file !== undefined) packed = within(file, packing.entry);
    else if (packing.format === 'zip') {
      await whole.close();
      current = 0;
      packed = read(packing.entry);
    }
    const total = packing.format === 'zip' && file === undefined ? packing.entry.size : origin.size;
    const stream = new ChunkStream(unpack(packed, packing, { name, signal }));
    const entry = packing.format === 'zip' ? packing.entry.name : undefined;
    return {
      name,
      format: packing.format,
      size,
      identity: entry === undefined ? origin.identity : origin.identity && `${origin.identity} ${entry}`,
      reader: packing.format === 'raw' ? origin.file?.blocks : undefined,
      stream,
      file: origin.file,
      packedProgress: () => ({ current, total }),
      again: reopen && (async () => openOrigin(await reopen(), { entry, signal })),
      requireUnchanged,
      close: async () => {
        origin.stop();
        await stream.close();
        await whole.close();
        await origin.close();
      },
    };
  } catch (error) {
    origin.stop();
    await whole.close();
    await origin.close();
    throw whileDoing(`opening ${name}`, error);
  }
}

/** The bytes of a range out of all bytes, the rest of which somebody else reads. */
async function* within(bytes: AsyncIterable<Buffer>, { start, size }: ByteRange): AsyncGenerator<Buffer> {
  let at = 0;
  for await (const chunk of bytes) {
    const piece = chunk.subarray(Math.max(0, start - at), Math.max(0, start + size - at));
    if (piece.length > 0) yield piece;
    at += chunk.length;
    if (at >= start + size) return;
  }
}

async function findPacking(
  origin: ImageOrigin,
  head: Buffer,
  { entry, chooseEntry }: Pick<SourceOptions, 'entry' | 'chooseEntry'>,
): Promise<Packing> {
  const { name, reader, file, stream } = origin;
  const format = detectFormat(head, name, file !== undefined);
  if (format === 'zip') {
    if (reader !== undefined) return { format, entry: await findZipImage(name, reader, entry, chooseEntry) };
    throw new Failure('usage', 'zip-needs-file', `a zip cannot be read from ${name}: its directory is at its end`, {
      hint: 'Get the zip as a file first, because a server without ranges and standard input are read only in order',
    });
  }
  if (entry === undefined) {
    const trailer = format === 'raw' && file !== undefined ? await readDmgTrailer(file.blocks) : undefined;
    if (file !== undefined && trailer !== undefined) return { format: 'dmg', path: file.path, trailer, stream };
    if (format !== 'xz') return { format };
    const blocks = reader && (await readXzBlocks(reader));
    // A server would be asked for several blocks at once, which is no faster.
    return { format, blocks, streamOfBlocks: file && stream };
  }
  throw new Failure('usage', 'entry-without-zip', `${name} is not a zip file, so --entry means nothing`, {
    hint: 'Leave out --entry',
  });
}
