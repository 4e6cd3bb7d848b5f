import { createHash, type Hash } from 'node:crypto';
import type { ByteRange } from './partition-table.js';

/** Runs of a block map begin at multiples of it, and end there or at the end of the image. */
const blockSize = 4096;

/** Makes a bmap of version 2.0, with the SHA-256 of each range, from the runs of an image that matter. */
export class BmapBuilder {
  readonly #ranges: { readonly first: number; readonly last: number; readonly checksum: string }[] = [];
  #start = 0;
  #end = 0;
  #hash: Hash | undefined;

  /** Adds a run that lies behind all others, and its bytes. Runs that touch become one range. */
  add({ start, size }: ByteRange, bytes: Buffer): void {
    if (this.#hash === undefined || start !== this.#end) {
      this.#finishRange();
      this.#hash = createHash('sha256');
      this.#start = start;
    }
    this.#hash.update(bytes);
    this.#end = start + size;
  }

  /** The text of the bmap when all runs have been added. */
  finish(imageSize: number): string {
    this.#finishRange();
    const mapped = this.#ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
    const text = (checksum: string) =>
      [
        '<?xml version="1.0" ?>',
        '<!-- Block map for bmaptool, made by davit image map. It leaves out what the file systems of the image call free. -->',
        '<bmap version="2.0">',
        `    <ImageSize> ${imageSize} </ImageSize>`,
        `    <BlockSize> ${blockSize} </BlockSize>`,
        `    <BlocksCount> ${Math.ceil(imageSize / blockSize)} </BlocksCount>`,
        `    <MappedBlocksCount> ${mapped} </MappedBlocksCount>`,
        '    <ChecksumType> sha256 </ChecksumType>',
        `    <BmapFileChecksum> ${checksum} </BmapFileChecksum>`,
        '    <BlockMap>',
        ...this.#ranges.map(({ first, last, checksum: own }) => {
          const blocks = first === last ? String(first) : `${first}-${last}`;
          return `        <Range chksum="${own}"> ${blocks} </Range>`;
        }),
        '    </BlockMap>',
        '</bmap>',
        '',
      ].join('\n');
    // The checksum of the file is made with zeros in its own place.
    return text(
      createHash('sha256')
        .update(text('0'.repeat(64)))
        .digest('hex'),
    );
  }

  #finishRange(): void {
    if (this.#hash === undefined) return;
    this.#ranges.push({
      first: this.#start / blockSize,
      last: Math.ceil(this.#end / blockSize) - 1,
      checksum: this.#hash.digest('hex'),
    });
    this.#hash = undefined;
  }
}
