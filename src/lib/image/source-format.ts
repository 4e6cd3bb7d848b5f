import { Failure } from '../failure/failure.js';

/** How an image may be packed; told by content, never by name. */
export type SourceFormat = 'raw' | 'gzip' | 'xz' | 'zstd' | 'zip';

/** Bytes of a source that are needed to tell its format. */
export const formatHeadSize = 16;

const magics: readonly (readonly [SourceFormat, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b, 0x08]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['zip', [0x50, 0x4b, 0x03, 0x04]],
];

/** Packings that davit does not open, and the command that does. */
const unsupported: readonly (readonly [string, readonly number[], string])[] = [
  ['bzip2', [0x42, 0x5a, 0x68], 'bzip2 -dc FILE | davit flash -'],
  ['lz4', [0x04, 0x22, 0x4d, 0x18], 'lz4 -dc FILE | davit flash -'],
  ['7z', [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c], '7z e -so FILE | davit flash -'],
];

/**
 * The format of a source from its first bytes. Fails with `refused` for packings that davit knows but does not open, because
 * written as they are they would only make an unbootable card.
 */
export function detectFormat(head: Buffer, name: string): SourceFormat {
  const starts = (magic: readonly number[]) => Buffer.from(magic).equals(head.subarray(0, magic.length));
  const format = magics.find(([, magic]) => starts(magic));
  if (format !== undefined) return format[0];
  const known = unsupported.find(([, magic]) => starts(magic));
  if (known === undefined) return 'raw';
  const [label, , command] = known;
  throw new Failure('refused', 'format-unsupported', `${name} is packed with ${label}, which davit does not unpack`, {
    hint: `Unpack it on the way: ${command}`,
  });
}
