import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { archiveCorrupt } from './archive-corrupt.js';
import { type Bmap, parseBmap } from './bmap.js';
import type { ImageSource } from './source.js';

/** Where Etcher looks for a bmap in a zip. */
const nameInZip = '.meta/image.bmap';

/** A bmap has a hundred bytes for each range; one larger than this is a bomb. */
const largestInZip = 64 * 1024 * 1024;

/**
 * The bmap of an image: the one that was asked for, or the one that lies beside its file or inside its zip, or undefined where there is
 * none. For `image.img.gz` those beside it are `image.img.gz.bmap`, `image.img.bmap` and `image.bmap`, as for bmaptool.
 */
export async function findBmap(
  source: Pick<ImageSource, 'file' | 'format'>,
  wanted: string | undefined,
): Promise<Bmap | undefined> {
  if (wanted !== undefined) return parseBmap(await read(wanted), wanted);
  if (source.file === undefined || source.file.isDevice !== undefined) return undefined;
  const { path: image } = source.file;
  if (source.format === 'zip') {
    const found = await readFromZip(image);
    if (found !== undefined) return parseBmap(found, `${nameInZip} in ${image}`);
  }
  for (const candidate of namesBeside(image)) {
    const found = await readIfThere(candidate);
    if (found !== undefined) return parseBmap(found, candidate);
  }
  return undefined;
}

function namesBeside(image: string): string[] {
  const { dir, base } = path.parse(image);
  const names: string[] = [];
  for (let name = base; ; name = path.parse(name).name) {
    names.push(path.join(dir, `${name}.bmap`));
    if (path.extname(name) === '') return names;
  }
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw whileDoing(`reading ${file}`, error, { hint: 'Do without it: --no-bmap' });
  }
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw whileDoing(`reading ${file}`, error, { hint: 'Check the path' });
  }
}

async function readFromZip(file: string): Promise<Buffer | undefined> {
  const yauzl = await import('yauzl');
  try {
    const zip = await yauzl.openPromise(file, { autoClose: false });
    try {
      for await (const entry of zip.eachEntry()) {
        if (entry.fileName !== nameInZip) continue;
        if (entry.uncompressedSize > largestInZip) throw new Error(`${nameInZip} in it is too large to be true`);
        return await buffer(await zip.openReadStreamPromise(entry));
      }
      return undefined;
    } finally {
      zip.close();
    }
  } catch (error) {
    throw archiveCorrupt(file, error instanceof Error ? error.message : String(error), error);
  }
}
