import { Failure } from '../failure/failure.js';
import type { BlockReader } from './block-file.js';

const signatures: readonly (readonly [string, Buffer, string])[] = [
  ['gzip', Buffer.from([0x1f, 0x8b]), 'gunzip --keep'],
  ['xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]), 'xz --decompress --keep'],
  ['zstd', Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), 'zstd --decompress'],
  ['bzip2', Buffer.from('BZh'), 'bunzip2 --keep'],
  ['zip', Buffer.from([0x50, 0x4b, 0x03, 0x04]), 'unzip'],
];

/** Fails with `refused` when an image is compressed, because only the start of it could be read in place. */
export async function refuseCompressed(reader: BlockReader, path: string): Promise<void> {
  const start = await reader.read(0, Math.min(8, reader.size));
  const found = signatures.find(([, signature]) => start.subarray(0, signature.length).equals(signature));
  if (found === undefined) return;
  const [name, , command] = found;
  throw new Failure('refused', 'image-compressed', `${path} is compressed with ${name}`, {
    hint: `Decompress it first: ${command} ${path}`,
  });
}
