import { Failure } from '../failure/failure.js';
import { shellWord } from '../platform/shell-word.js';
import type { BlockReader } from './block-file.js';
import { detectFormat, formatHeadSize } from './source-format.js';

const unpackers = {
  gzip: 'gunzip --keep',
  xz: 'xz --decompress --keep',
  zstd: 'zstd --decompress',
  zip: 'unzip',
  bzip2: 'bzip2 --decompress --keep',
  lz4: 'lz4 --decompress',
} as const;

/** Fails with `refused` when an image is compressed, because only a raw one can be looked into and changed in place. */
export async function refuseCompressed(reader: BlockReader, path: string): Promise<void> {
  const format = detectFormat(await reader.read(0, Math.min(formatHeadSize, reader.size)), path);
  if (format === 'raw') return;
  throw new Failure('refused', 'image-compressed', `${path} is compressed with ${format}`, {
    hint: `Decompress it first: ${unpackers[format]} ${shellWord(path)}`,
  });
}
