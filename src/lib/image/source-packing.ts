import { decodeBzip2 } from './decode-bzip2.js';
import { decodeDmg, type DmgLayout } from './decode-dmg.js';
import { decodeGzip } from './decode-gzip.js';
import { decodeLz4 } from './decode-lz4.js';
import type { DecodeOptions } from './decode-options.js';
import { decodeXz, type XzLayout } from './decode-xz.js';
import { decodeZipEntry } from './decode-zip.js';
import { decodeZstd } from './decode-zstd.js';
import type { ImageOrigin } from './image-origin.js';
import type { SourceFormat } from './source-format.js';
import { unpackedXzSize } from './xz-index.js';
import type { ZipEntry } from './zip-image.js';
import { zstdContentSize } from './zstd-header.js';

/** How the image in a source is packed, where a zip has it, and the blocks of an xz file. */
export type Packing =
  | { readonly format: Exclude<SourceFormat, 'zip' | 'xz' | 'dmg'> }
  | ({ readonly format: 'xz' } & XzLayout)
  | { readonly format: 'zip'; readonly entry: ZipEntry }
  | ({ readonly format: 'dmg' } & DmgLayout);

/** Unpacks an image from its packed bytes. */
export function unpack(packed: AsyncIterable<Buffer>, packing: Packing, options: DecodeOptions): AsyncIterable<Buffer> {
  switch (packing.format) {
    case 'raw':
      return packed;
    case 'gzip':
      return decodeGzip(packed, options);
    case 'xz':
      return decodeXz(packed, options, packing);
    case 'zstd':
      return decodeZstd(packed, options);
    case 'bzip2':
      return decodeBzip2(packed, options);
    case 'lz4':
      return decodeLz4(packed, options);
    case 'dmg':
      return decodeDmg(packing, options);
    case 'zip':
      return decodeZipEntry(packed, packing.entry, options);
  }
}

/** Bytes of the unpacked image, where its format states them. `head` is the beginning of the packed bytes. */
export function statedSize({ size }: Pick<ImageOrigin, 'size'>, packing: Packing, head: Buffer): number | undefined {
  switch (packing.format) {
    case 'raw':
      return size;
    case 'xz':
      return packing.blocks && unpackedXzSize(packing.blocks);
    case 'zstd':
      return zstdContentSize(head);
    case 'dmg':
      return packing.trailer.unpackedSize;
    case 'zip':
      return packing.entry.unpackedSize;
    // The trailer of gzip tells the size of its last member only, and that modulo 4 GiB.
    case 'gzip':
    case 'bzip2':
    case 'lz4':
      return undefined;
  }
}
