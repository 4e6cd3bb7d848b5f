import path from 'node:path';
import { crc32, createInflateRaw } from 'node:zlib';
import type { Entry } from 'yauzl';
import { Failure } from '../failure/failure.js';
import { archiveCorrupt } from './archive-corrupt.js';
import type { BlockReader } from './block-file.js';
import { decodedChunkSize, type DecodeOptions, decodeWithTransform } from './decode-with-transform.js';

/** One file inside a zip, and where its packed bytes lie in the zip. */
export interface ZipEntry {
  readonly name: string;
  readonly start: number;
  /** Packed bytes. */
  readonly size: number;
  readonly unpackedSize: number;
  readonly crc32: number;
  readonly method: 'stored' | 'deflated';
}

const imageExtensions = ['.img', '.raw', '.wic', '.iso', '.bin', '.dsk', '.rpi-sdimg', '.sdimg', '.balenaos-img'];

/** Compression methods of the zip format (APPNOTE 4.4.5) that occur in practice. */
const methods = new Map<number, ZipEntry['method']>([
  [0, 'stored'],
  [8, 'deflated'],
]);

/**
 * Finds the image inside a zip: the entry of that name, the only file, or the only one with the name of an image. Fails with
 * `usage` when there are several, naming them.
 *
 * @param name what the user calls the zip
 */
export async function findZipImage(name: string, bytes: BlockReader, wanted: string | undefined): Promise<ZipEntry> {
  const yauzl = await import('yauzl');
  class Reader extends yauzl.RandomAccessReader {
    override read(
      target: Buffer,
      offset: number,
      length: number,
      position: number,
      done: (error: Error | null) => void,
    ): void {
      bytes.read(position, length).then(
        (read) => {
          read.copy(target, offset);
          done(null);
        },
        (error: unknown) => {
          done(error instanceof Error ? error : new Error(String(error)));
        },
      );
    }
  }
  try {
    const zip = await yauzl.fromRandomAccessReaderPromise(new Reader(), bytes.size, { autoClose: false });
    const entries: Entry[] = [];
    for await (const entry of zip.eachEntry()) entries.push(entry);
    const entry = chooseEntry(name, entries, wanted);
    const method = methods.get(entry.compressionMethod);
    if (method === undefined || entry.isEncrypted()) {
      throw new Failure('refused', 'format-unsupported', `${entry.fileName} in ${name} is encrypted or oddly packed`, {
        hint: `Unpack it on the way: unzip -p ${name} ${entry.fileName} | davit flash -`,
      });
    }
    const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
    return {
      name: entry.fileName,
      start: fileDataStart,
      size: entry.compressedSize,
      unpackedSize: entry.uncompressedSize,
      crc32: entry.crc32,
      method,
    };
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw archiveCorrupt(name, error instanceof Error ? error.message : String(error), error);
  }
}

/** Unpacks one entry of a zip from its packed bytes, and checks its size and checksum. */
export async function* decodeZipEntry(
  packed: AsyncIterable<Buffer>,
  entry: ZipEntry,
  options: DecodeOptions,
): AsyncGenerator<Buffer> {
  const chunks =
    entry.method === 'stored'
      ? packed
      : decodeWithTransform(packed, createInflateRaw({ chunkSize: decodedChunkSize }), options);
  let checksum = 0;
  let size = 0;
  for await (const chunk of chunks) {
    checksum = crc32(chunk, checksum);
    size += chunk.length;
    yield chunk;
  }
  if (size !== entry.unpackedSize) {
    throw archiveCorrupt(options.name, `${entry.name} has ${size} bytes, not ${entry.unpackedSize}`);
  }
  if (checksum !== entry.crc32) throw archiveCorrupt(options.name, `the checksum of ${entry.name} does not match`);
}

function chooseEntry(file: string, entries: readonly Entry[], wanted: string | undefined): Entry {
  // Folders, and what macOS and image builders put beside the image.
  const files = entries.filter(({ fileName }) => !/(^|\/)(__MACOSX\/|\.)|\/$/.test(fileName));
  if (wanted !== undefined) {
    const found = files.find(({ fileName }) => fileName === wanted);
    if (found !== undefined) return found;
    throw new Failure('not-found', 'entry-not-found', `${file} holds no file ${wanted}`, { hint: hold(files) });
  }
  const images = files.filter(({ fileName }) => imageExtensions.includes(path.extname(fileName).toLowerCase()));
  const [only, ...others] = images.length > 0 ? images : files;
  if (only === undefined) {
    throw new Failure('not-found', 'entry-not-found', `${file} holds no image`, { hint: 'Give another file' });
  }
  if (others.length > 0) {
    throw new Failure('usage', 'several-images', `${file} holds several files that may be the image`, {
      hint: `Choose one with --entry. ${hold([only, ...others])}`,
    });
  }
  return only;
}

function hold(files: readonly Entry[]): string {
  return `It holds: ${files.map(({ fileName }) => fileName).join(', ')}`;
}
