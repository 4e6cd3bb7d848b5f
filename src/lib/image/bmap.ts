import { createHash } from 'node:crypto';
import { Failure } from '../failure/failure.js';
import type { ByteRange } from './partition-table.js';

/** A range of an image that a bmap maps, and its checksum as hexadecimal digits, if it has one. */
export interface BmapRange extends ByteRange {
  readonly checksum: string | undefined;
}

/** What a bmap file of bmaptool says about an image. */
export interface Bmap {
  /** What the user calls it: the path of the file. */
  readonly name: string;
  readonly version: string;
  /** Bytes of the image. */
  readonly imageSize: number;
  /** How the checksums are made; undefined for versions that have none. */
  readonly algorithm: ChecksumAlgorithm | undefined;
  /** Sorted, and apart from each other; the last one ends where the image does, if that is within its last block. */
  readonly ranges: readonly BmapRange[];
}

/** Hashes that a bmap may use. */
type ChecksumAlgorithm = (typeof algorithms)[number];

const algorithms = ['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512'] as const;

/** Where each version has its checksums. */
interface Checksums {
  readonly algorithm: ChecksumAlgorithm;
  /** The attribute of a range. */
  readonly attribute: string;
  /** The element that holds the checksum of the bmap itself. */
  readonly ofFile: string;
}

/** A leaf of the document: name, attributes, text. */
interface Element {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly text: string;
}

const newestMajor = 2;

/**
 * Reads a bmap of version 1 or 2 and checks its own checksum. Fails with `bmap-damaged` for what is not one, and with
 * `bmap-unsupported` for a version that is not known.
 *
 * @param name what the user calls it
 */
export function parseBmap(file: Buffer, name: string): Bmap {
  const text = file.toString('latin1');
  if (text.startsWith('-----BEGIN PGP')) throw unsupported(name, 'it is wrapped in a signature');
  const { major, minor, elements } = parseDocument(text, name);
  const version = `${major}.${minor}`;
  if (major > newestMajor) throw unsupported(name, `its version is ${version}`);
  const texts = new Map(elements.map((element) => [element.name, element.text]));
  const checksums = checksumsOf(name, { major, minor }, texts);
  if (checksums !== undefined) requireOwnChecksum(name, text, texts.get(checksums.ofFile) ?? '', checksums.algorithm);
  const number = (element: string) => {
    const digits = texts.get(element) ?? '';
    if (!/^\d{1,15}$/.test(digits)) throw damaged(name, `<${element}> is missing or not a number`);
    return Number(digits);
  };
  const geometry = { imageSize: number('ImageSize'), blockSize: number('BlockSize') };
  if (geometry.blockSize === 0 || Math.ceil(geometry.imageSize / geometry.blockSize) !== number('BlocksCount')) {
    throw damaged(name, 'its sizes contradict each other');
  }
  const ranges: BmapRange[] = [];
  for (const element of elements) {
    if (element.name === 'Range') ranges.push(parseRange(name, element, geometry, ranges.at(-1), checksums));
  }
  const blocks = ranges.reduce((sum, range) => sum + Math.ceil(range.size / geometry.blockSize), 0);
  if (blocks !== number('MappedBlocksCount')) throw damaged(name, 'it lists another number of blocks than it says');
  return { name, version, imageSize: geometry.imageSize, algorithm: checksums?.algorithm, ranges };
}

/**
 * Reads XML as bmaptool writes it and no more: one element with leaves in it, attributes, comments. What decides whether an image is good is
 * no place for entities and document types.
 */
function parseDocument(text: string, name: string): { major: number; minor: number; elements: readonly Element[] } {
  const plain = text.replaceAll(/<!--[^]*?-->/g, '');
  const document = /^\s*(?:<\?xml[^<>]*\?>)?\s*<bmap\s+version="(\d+)\.(\d+)"\s*>([^&]*)<\/bmap>\s*$/.exec(plain);
  const [, major, minor, content = ''] = document ?? [];
  const elements: Element[] = [];
  const rest = content.replaceAll(
    /<(?!BlockMap\b)(\w+)((?:\s+\w+="[^"<>]*")*)\s*>([^<>]*)<\/\1\s*>/g,
    (_, element: string, attributes: string, value: string) => {
      const pairs = [...attributes.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', set = '']) => [key, set] as const);
      elements.push({ name: element, attributes: new Map(pairs), text: value.trim() });
      return '';
    },
  );
  if (document === null || !/^\s*<BlockMap\s*>\s*<\/BlockMap\s*>\s*$/.test(rest)) {
    throw damaged(name, 'it is not a bmap as bmaptool writes it');
  }
  return { major: Number(major), minor: Number(minor), elements };
}

/** Versions before 1.3 have no checksums, 1.3 has SHA-1, and 2.0, which was called 1.4 by mistake at first, says what it has. */
function checksumsOf(
  name: string,
  { major, minor }: { readonly major: number; readonly minor: number },
  texts: ReadonlyMap<string, string>,
): Checksums | undefined {
  if (major < newestMajor && minor < 3) return undefined;
  if (major < newestMajor && minor === 3) return { algorithm: 'sha1', attribute: 'sha1', ofFile: 'BmapFileSHA1' };
  const wanted = texts.get('ChecksumType');
  const algorithm = algorithms.find((one) => one === wanted);
  if (algorithm === undefined) throw unsupported(name, `its checksums are of the type ${JSON.stringify(wanted ?? '')}`);
  return { algorithm, attribute: 'chksum', ofFile: 'BmapFileChecksum' };
}

/** The checksum of a bmap is made with zeros in its own place. */
function requireOwnChecksum(name: string, text: string, stated: string, algorithm: ChecksumAlgorithm): void {
  const at = text.indexOf(stated);
  const zeroed = text.slice(0, at) + '0'.repeat(stated.length) + text.slice(at + stated.length);
  const actual = createHash(algorithm).update(zeroed, 'latin1').digest('hex');
  if (stated.toLowerCase() !== actual) throw damaged(name, 'it does not have the checksum that it states');
}

/** A range of blocks, `3-7` or `3`, behind the one before it. */
function parseRange(
  name: string,
  { text, attributes }: Element,
  { imageSize, blockSize }: { readonly imageSize: number; readonly blockSize: number },
  previous: BmapRange | undefined,
  checksums: Checksums | undefined,
): BmapRange {
  const [, firstText, lastText = firstText] = /^(\d{1,15})(?:\s*-\s*(\d{1,15}))?$/.exec(text) ?? [];
  const start = Number(firstText) * blockSize;
  const end = Math.min((Number(lastText) + 1) * blockSize, imageSize);
  // Damage shows as NaN as well, which is less than nothing.
  const isInOrder = start < end && start >= (previous === undefined ? 0 : previous.start + previous.size);
  if (!isInOrder) throw damaged(name, `the range ${JSON.stringify(text)} makes no sense`);
  return { start, size: end - start, checksum: checksums && attributes.get(checksums.attribute)?.toLowerCase() };
}

function damaged(name: string, why: string): Failure {
  return new Failure('failed', 'bmap-damaged', `${name} cannot be used as a block map: ${why}`, {
    hint: 'Get it again, or do without it: --no-bmap',
  });
}

function unsupported(name: string, why: string): Failure {
  return new Failure('refused', 'bmap-unsupported', `${name} is a block map that davit does not read: ${why}`, {
    hint: 'Do without it: --no-bmap',
  });
}
