import { Failure } from '../failure/failure.js';
import { shellWord } from '../platform/shell-word.js';

/** How an image may be packed; told by content, never by name. */
export type SourceFormat = 'raw' | 'gzip' | 'xz' | 'zstd' | 'zip' | 'bzip2' | 'lz4' | 'dmg';

/** Those formats that the first bytes tell. */
export type HeadFormat = Exclude<SourceFormat, 'dmg'>;

/** Bytes of a source that are needed to tell its format. */
export const formatHeadSize = 4096;

/** Bytes that a format has at a place near its beginning. */
interface Mark {
  readonly bytes: string | readonly number[];
  /** 0 by default. */
  readonly at?: number;
}

const formats: readonly (Mark & { readonly format: Exclude<HeadFormat, 'raw'> })[] = [
  { format: 'gzip', bytes: [0x1f, 0x8b, 0x08] },
  { format: 'xz', bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] },
  { format: 'zstd', bytes: [0x28, 0xb5, 0x2f, 0xfd] },
  { format: 'zip', bytes: 'PK\x03\x04' },
  { format: 'zip', bytes: 'PK\x05\x06' },
  { format: 'bzip2', bytes: 'BZh' },
  { format: 'lz4', bytes: [0x04, 0x22, 0x4d, 0x18] },
  // The older frames of the lz4 program, which are still common for kernels.
  { format: 'lz4', bytes: [0x02, 0x21, 0x4c, 0x18] },
];

/** Packings that davit does not open, and what to do about it; FILE stands for the path. */
const unsupported: readonly (Mark & { readonly label: string; readonly remedy: string })[] = [
  { label: '7z', bytes: [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c], remedy: onTheWay('7z e -so FILE') },
  { label: 'RAR', bytes: 'Rar!\x1a\x07', remedy: onTheWay('unrar p -inul FILE') },
  { label: 'LZMA', bytes: [0x5d, 0x00, 0x00], remedy: onTheWay('xz --format=lzma -dc FILE') },
  { label: 'lzip', bytes: 'LZIP', remedy: onTheWay('lzip -dc FILE') },
  { label: 'lzop', bytes: [0x89, 0x4c, 0x5a, 0x4f, 0x00], remedy: onTheWay('lzop -dc FILE') },
  { label: 'compress', bytes: [0x1f, 0x9d], remedy: onTheWay('gzip -dc FILE') },
  { label: 'tar', bytes: 'ustar', at: 257, remedy: onTheWay('tar -xOf FILE') },
  { label: 'QEMU (qcow2)', bytes: 'QFI\xfb', remedy: toRaw() },
  { label: 'VMware (vmdk)', bytes: 'KDMV', remedy: toRaw() },
  { label: 'Hyper-V (vhdx)', bytes: 'vhdxfile', remedy: toRaw() },
  { label: 'Hyper-V (vhd)', bytes: 'conectix', remedy: toRaw() },
  { label: 'VirtualBox (vdi)', bytes: [0x7f, 0x10, 0xda, 0xbe], at: 64, remedy: toRaw() },
  {
    label: 'Android (sparse image)',
    bytes: [0x3a, 0xff, 0x26, 0xed],
    remedy: 'Unpack it: simg2img FILE image.img; then: davit flash image.img',
  },
];

/** Frames that Zstandard and LZ4 decoders pass over (RFC 8878, 3.1.2) begin with any of 16 numbers. */
export function skippableFrameSize(bytes: Buffer): number | undefined {
  if (bytes.length < 8 || (bytes.readUInt32LE(0) & 0xfffffff0) !== 0x184d2a50) return undefined;
  return 8 + bytes.readUInt32LE(4);
}

/**
 * The format of a source from its first bytes. Fails with `refused` for packings that davit knows but does not open, because
 * written as they are they would only make an unbootable card.
 *
 * @param isFile whether the name is a path that can stand in a command
 */
export function detectFormat(head: Buffer, name: string, isFile = true): HeadFormat {
  const found = formats.find((mark) => bears(head, mark));
  if (found !== undefined) return found.format;
  const skipped = skippableFrameSize(head);
  if (skipped !== undefined) {
    if (head.length > skipped) return detectFormat(head.subarray(skipped), name);
    // Of the two formats with such frames, only Zstandard's tools write long ones.
    return 'zstd';
  }
  const known = unsupported.find((mark) => bears(head, mark));
  if (known === undefined) return 'raw';
  const { label, remedy } = known;
  throw new Failure('refused', 'format-unsupported', `${name} is packed as ${label}, which davit does not unpack`, {
    hint: remedy.replace('FILE', isFile ? shellWord(name) : 'FILE'),
  });
}

function bears(head: Buffer, { bytes, at = 0 }: Mark): boolean {
  const mark = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes);
  return head.subarray(at, at + mark.length).equals(mark);
}

function onTheWay(command: string): string {
  return `Unpack it on the way: ${command} | davit flash -`;
}

function toRaw(): string {
  return 'Turn it into a raw image: qemu-img convert -O raw FILE image.img; then: davit flash image.img';
}
