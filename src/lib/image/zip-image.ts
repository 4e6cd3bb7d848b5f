import path from 'node:path';
import type { Entry } from 'yauzl';
import { Failure } from '../failure/failure.js';
import { shellWord } from '../platform/shell-word.js';
import { archiveCorrupt } from './archive-corrupt.js';
import type { BlockReader } from './block-file.js';

/** One file inside a zip, and where its packed bytes lie in the zip. */
export interface ZipEntry {
  readonly name: string;
  readonly start: number;
  /** Packed bytes. */
  readonly size: number;
  readonly unpackedSize: number;
  readonly crc32: number;
  readonly method: ZipMethod;
}

/** How the bytes of an entry are packed. */
export type ZipMethod = 'stored' | 'deflated' | 'bzip2' | 'zstd' | 'xz';

/** A file of a zip that may be the image. */
export interface ZipCandidate {
  readonly name: string;
  /** Unpacked bytes. */
  readonly size: number;
}

/** Decides which of several files is the image. */
export type ChooseEntry = (candidates: readonly ZipCandidate[]) => Promise<string>;

/** Compression methods of the zip format (APPNOTE 4.4.5) that davit unpacks. */
const methods = new Map<number, ZipMethod>([
  [0, 'stored'],
  [8, 'deflated'],
  [12, 'bzip2'],
  [20, 'zstd'],
  [93, 'zstd'],
  [95, 'xz'],
]);

const imageExtensions = ['.img', '.raw', '.wic', '.iso', '.bin', '.dsk', '.rpi-sdimg', '.sdimg', '.balenaos-img'];

/** What lies beside an image: maps, checksums, signatures, texts. */
const sidecar =
  /\.(bmap|md5(sums?)?|sha(1|256|512)(sums?)?|sig|asc|gpg|minisig|txt|md|json|xml|yaml|html?|pdf|log|manifest)$|(^|\/)([a-z0-9]+sums|readme|license|changelog)$/i;

/**
 * Finds the image inside a zip: the entry of that name, the only file, the only one with the name of an image, or the one that is chosen.
 *
 * @param name what the user calls the zip
 * @param choose asked when there are several; without it that fails with `usage`, naming them
 */
export async function findZipImage(
  name: string,
  bytes: BlockReader,
  wanted: string | undefined,
  choose?: ChooseEntry,
): Promise<ZipEntry> {
  const yauzl = await import('yauzl');
  class Reader extends yauzl.RandomAccessReader {
    override read(
      target: Buffer,
      offset: number,
      length: number,
      position: number,
      done: (error: Error | null) => void,
    ): void {
      if (position + length > bytes.size) {
        done(new Error('it ends too early'));
        return;
      }
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
    const entry = await chooseImage(name, entries, wanted, choose);
    const method = methods.get(entry.compressionMethod);
    if (method === undefined || entry.isEncrypted()) throw unsupported(name, entry);
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

async function chooseImage(
  zip: string,
  entries: readonly Entry[],
  wanted: string | undefined,
  choose: ChooseEntry | undefined,
): Promise<Entry> {
  // Folders, and what macOS puts beside every file.
  const files = entries.filter(({ fileName }) => !/(^|\/)(__MACOSX\/|\.)|\/$/.test(fileName));
  if (wanted !== undefined) {
    return (
      entryNamed(entries, wanted) ?? raise(notFound(`${zip} holds no file ${wanted}`, `It holds: ${listed(files)}`))
    );
  }
  const images = files.filter(({ fileName }) => imageExtensions.includes(path.extname(fileName).toLowerCase()));
  const others = files.filter(({ fileName }) => !sidecar.test(fileName));
  const candidates = [images, others, files].find((some) => some.length > 0) ?? [];
  const [only, ...more] = candidates;
  if (only === undefined) throw notFound(`${zip} holds no image`, 'Give another file');
  if (more.length === 0) return only;
  if (choose === undefined) {
    throw new Failure('usage', 'several-images', `${zip} holds several files that may be the image`, {
      hint: `Choose one with --entry: ${listed(candidates)}`,
    });
  }
  const chosen = await choose(
    candidates.map(({ fileName, uncompressedSize }) => ({ name: fileName, size: uncompressedSize })),
  );
  return entryNamed(candidates, chosen) ?? only;
}

/** Of entries with the same name, tools take the last. */
function entryNamed(entries: readonly Entry[], name: string): Entry | undefined {
  return entries.filter(({ fileName }) => fileName === name).at(-1);
}

function listed(files: readonly Entry[]): string {
  const most = 20;
  const names = files.slice(0, most).map(({ fileName }) => shellWord(fileName));
  return [...names, ...(files.length > most ? [`and ${files.length - most} more`] : [])].join(', ');
}

function notFound(message: string, hint: string): Failure {
  return new Failure('not-found', 'entry-not-found', message, { hint });
}

function unsupported(zip: string, entry: Entry): Failure {
  const what = entry.isEncrypted() ? 'encrypted' : `packed by method ${entry.compressionMethod}`;
  const command = `7z e -so ${shellWord(zip)} ${shellWord(entry.fileName)}`;
  return new Failure(
    'refused',
    'format-unsupported',
    `${entry.fileName} in ${zip} is ${what}, which davit does not unpack`,
    { hint: `Unpack it on the way: ${command} | davit flash -` },
  );
}

function raise(failure: Failure): never {
  throw failure;
}
