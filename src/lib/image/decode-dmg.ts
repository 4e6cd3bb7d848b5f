import { crc32 } from 'node:zlib';
import type { DmgSource } from 'etcher-sdk';
import { Failure, interrupted } from '../failure/failure.js';
import { archiveCorrupt } from './archive-corrupt.js';
import type { DecodeOptions } from './decode-options.js';
import type { DmgTrailer } from './dmg-trailer.js';
import { exactly } from './exactly.js';
import type { ImageOrigin } from './image-origin.js';

/** A disk image of macOS: its file, which etcher-sdk reads by itself, and its packed bytes. */
export interface DmgLayout {
  readonly path: string;
  readonly trailer: DmgTrailer;
  readonly stream: ImageOrigin['stream'];
}

/** Unpacks a disk image of macOS through etcher-sdk; fails with `package-not-found` without it. */
export async function* decodeDmg({ path, trailer, stream }: DmgLayout, options: DecodeOptions): AsyncGenerator<Buffer> {
  yield* exactly(decodeWithEtcher(path, options), trailer.unpackedSize, options.name);
  if (trailer.checksum === undefined) return;
  let checksum = 0;
  for await (const chunk of stream(trailer.data)) checksum = crc32(chunk, checksum);
  if (checksum !== trailer.checksum) throw archiveCorrupt(options.name, 'its checksum does not match');
}

async function* decodeWithEtcher(path: string, { name, signal }: DecodeOptions): AsyncGenerator<Buffer> {
  const { sourceDestination } = await loadEtcher(name);
  const image = new sourceDestination.DmgSource(new sourceDestination.File({ path }));
  try {
    await image.open();
    const parts = new PartChecksums(await image.getBlocks());
    for await (const chunk of await image.createReadStream()) {
      if (signal.aborted) throw interrupted();
      const bytes = Buffer.from(chunk);
      parts.pass(bytes);
      yield bytes;
    }
    parts.finish();
  } catch (error) {
    if (error instanceof Failure && error.kind === 'interrupted') throw error;
    throw archiveCorrupt(name, error instanceof Error ? error.message : String(error), error);
  } finally {
    await image.close();
  }
}

/** Compares the parts of an image with their checksums as they pass, which etcher-sdk does only when it writes by itself. */
class PartChecksums {
  readonly #ranges: { readonly start: number; readonly end: number; readonly part: PassedPart }[] = [];
  readonly #parts: PassedPart[] = [];
  #position = 0;

  constructor(parts: Awaited<ReturnType<DmgSource['getBlocks']>>) {
    for (const { checksum, checksumType, blocks } of parts) {
      const part = { expected: checksumType === 'crc32' ? checksum : undefined, checksum: 0 };
      this.#parts.push(part);
      for (const { offset, length } of blocks) this.#ranges.push({ start: offset, end: offset + length, part });
    }
  }

  pass(bytes: Buffer): void {
    const end = this.#position + bytes.length;
    for (let range = this.#ranges[0]; range !== undefined && range.start < end; range = this.#ranges[0]) {
      const from = Math.max(range.start, this.#position) - this.#position;
      const piece = bytes.subarray(from, Math.min(range.end, end) - this.#position);
      range.part.checksum = crc32(piece, range.part.checksum);
      if (range.end > end) break;
      this.#ranges.shift();
    }
    this.#position = end;
  }

  finish(): void {
    for (const { expected, checksum } of this.#parts) {
      if (expected !== undefined && Number.parseInt(expected, 16) !== checksum) {
        throw new Error('the checksum of a part does not match');
      }
    }
  }
}

interface PassedPart {
  readonly expected: string | undefined;
  checksum: number;
}

async function loadEtcher(name: string) {
  try {
    return await import('etcher-sdk');
  } catch (error) {
    throw new Failure('not-found', 'package-not-found', `unpacking ${name} needs the package etcher-sdk`, {
      hint: 'It could not be compiled or does not run on this version of Node. Turn the image into a raw one: qemu-img convert -O raw FILE image.img',
      cause: error,
    });
  }
}
