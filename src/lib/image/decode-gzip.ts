import { crc32 } from 'node:zlib';
import { archiveCorrupt } from './archive-corrupt.js';
import { ChunkStream } from './chunk-stream.js';
import type { DecodeOptions } from './decode-options.js';
import { inflate } from './inflate.js';

const magic = [0x1f, 0x8b, 0x08];

/**
 * Decodes gzip (RFC 1952), all members of it. Node's zlib uses SIMD and is several times as fast as the gzip program; its own reader of gzip
 * would take a member that follows padding, or whose first byte is damaged, for the end of the file.
 */
export async function* decodeGzip(input: AsyncIterable<Buffer>, options: DecodeOptions): AsyncGenerator<Buffer> {
  const packed = new ChunkStream(input);
  do yield* decodeMember(packed, options);
  while (await anotherFollows(packed, options.name));
}

async function* decodeMember(packed: ChunkStream, options: DecodeOptions): AsyncGenerator<Buffer> {
  await skipHeader(packed, options.name);
  let checksum = 0;
  let size = 0;
  for await (const chunk of inflate(packed, options)) {
    checksum = crc32(chunk, checksum);
    size += chunk.length;
    yield chunk;
  }
  const trailer = await take(packed, 8, options.name);
  if (trailer.readUInt32LE(0) !== checksum) throw archiveCorrupt(options.name, 'its checksum does not match');
  if (trailer.readUInt32LE(4) !== size % 2 ** 32) throw archiveCorrupt(options.name, 'its size does not match');
}

async function skipHeader(packed: ChunkStream, name: string): Promise<void> {
  const header = await take(packed, 10, name);
  const flags = header.readUInt8(3);
  if (!header.subarray(0, 3).equals(Buffer.from(magic)) || (flags & 0xe0) !== 0) {
    throw archiveCorrupt(name, 'it has no good header');
  }
  if ((flags & 4) !== 0) await take(packed, (await take(packed, 2, name)).readUInt16LE(0), name);
  // The original name and a comment, each ended by a zero.
  for (const flag of [8, 16]) {
    if ((flags & flag) !== 0) while ((await take(packed, 1, name)).readUInt8(0) !== 0);
  }
  if ((flags & 2) !== 0) await take(packed, 2, name);
}

/**
 * Whether another member follows. Padding and whatever has been attached to the file are passed over, as the gzip program does, but not what
 * looks like a damaged member.
 */
async function anotherFollows(packed: ChunkStream, name: string): Promise<boolean> {
  const start = await packed.peek(magic.length);
  const alike = magic.filter((byte, index) => start[index] === byte).length;
  if (alike === magic.length) return true;
  if (alike >= Math.min(2, start.length) && start.length > 0) throw archiveCorrupt(name, 'its next part is damaged');
  if (start[0] !== 0) return false;
  for (let chunk = await packed.next(); chunk !== undefined; chunk = await packed.next()) {
    const end = chunk.findIndex((byte) => byte !== 0);
    if (end === -1) continue;
    packed.unread(chunk.subarray(end));
    if ((await packed.peek(magic.length)).equals(Buffer.from(magic))) return true;
    return false;
  }
  return false;
}

async function take(packed: ChunkStream, length: number, name: string): Promise<Buffer> {
  const bytes = await packed.take(length);
  if (bytes.length < length) throw archiveCorrupt(name, 'it ends too early');
  return bytes;
}
