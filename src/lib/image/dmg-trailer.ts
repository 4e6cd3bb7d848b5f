import type { BlockReader } from './block-file.js';
import type { ByteRange } from './partition-table.js';

/** The last bytes of a disk image of macOS (UDIF), by which it is recognised. */
export interface DmgTrailer {
  /** Bytes of the unpacked image. */
  readonly unpackedSize: number;
  /** Where the packed bytes of the image lie, and their CRC-32 where it is given. */
  readonly data: ByteRange;
  readonly checksum: number | undefined;
}

const trailerSize = 512;

/** Numbers that name a kind of checksum. */
const crc32Kind = 2;

/**
 * Reads the trailer of a disk image of macOS; undefined when the file has none. Apple has not published the format; the places are those that
 * etcher-sdk's package @balena/udif documents.
 */
export async function readDmgTrailer(file: BlockReader): Promise<DmgTrailer | undefined> {
  if (file.size < trailerSize) return undefined;
  const trailer = await file.read(file.size - trailerSize, trailerSize);
  if (trailer.toString('latin1', 0, 4) !== 'koly' || trailer.readUInt32BE(8) !== trailerSize) return undefined;
  const number = (at: number) => Number(trailer.readBigUInt64BE(at));
  return {
    unpackedSize: number(492) * 512,
    data: { start: number(24), size: number(32) },
    checksum: trailer.readUInt32BE(80) === crc32Kind ? trailer.readUInt32BE(88) : undefined,
  };
}
