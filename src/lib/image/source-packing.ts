import { archiveCorrupt } from './archive-corrupt.js';
import { decodeGzip } from './decode-gzip.js';
import type { DecodeOptions } from './decode-with-transform.js';
import { decodeXz } from './decode-xz.js';
import { decodeZipEntry, type ZipEntry } from './decode-zip.js';
import { decodeZstd } from './decode-zstd.js';
import type { ImageOrigin } from './image-origin.js';
import type { SourceFormat } from './source-format.js';
import { xzUncompressedSize } from './xz-index.js';
import { zstdContentSize } from './zstd-header.js';

/** How the image in a source is packed, and where a zip has it. */
export type Packing =
  { readonly format: Exclude<SourceFormat, 'zip'> } | { readonly format: 'zip'; readonly entry: ZipEntry };

/** Unpacks an image from its packed bytes. */
export function unpack(packed: AsyncIterable<Buffer>, packing: Packing, options: DecodeOptions): AsyncIterable<Buffer> {
  switch (packing.format) {
    case 'raw':
      return packed;
    case 'gzip':
      return decodeGzip(packed, options);
    case 'xz':
      return decodeXz(packed, options);
    case 'zstd':
      return decodeZstd(packed, options);
    case 'zip':
      return decodeZipEntry(packed, packing.entry, options);
  }
}

/** Bytes of the unpacked image, where its format states them. `head` is the beginning of the packed bytes. */
export async function statedSize(
  { size, reader }: Pick<ImageOrigin, 'size' | 'reader'>,
  packing: Packing,
  head: Buffer,
): Promise<number | undefined> {
  switch (packing.format) {
    case 'raw':
      return size;
    case 'gzip':
      // Its trailer tells the size of its last member only, and that modulo 4 GiB.
      return undefined;
    case 'xz':
      return reader && xzUncompressedSize(reader);
    case 'zstd':
      return zstdContentSize(head);
    case 'zip':
      return packing.entry.unpackedSize;
  }
}

/** Fails when a stream is shorter or longer than its archive says, as when a decoder stops after the first of several streams. */
export async function* exactly(chunks: AsyncIterable<Buffer>, size: number, name: string): AsyncGenerator<Buffer> {
  let have = 0;
  for await (const chunk of chunks) {
    have += chunk.length;
    yield chunk;
  }
  if (have !== size) throw archiveCorrupt(name, `it unpacks to ${have} bytes, not to the ${size} that it states`);
}
