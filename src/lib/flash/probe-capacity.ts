import { createCipheriv, randomBytes } from 'node:crypto';
import { Failure, interrupted } from '../failure/failure.js';
import type { ByteRange } from '../image/partition-table.js';
import { alignedBuffer } from './aligned-memory.js';

/** What the capacity of a drive is proven on: reads and writes of aligned memory past any cache of this computer. */
export interface ProbedMedium {
  write(bytes: Buffer, offset: number): Promise<void>;
  read(into: Buffer, offset: number): Promise<void>;
  flush(): Promise<void>;
}

/** What a probe found out about a drive. */
export interface CapacityVerdict {
  /** `wraps`: bytes beyond the real end land on those before it; `ends`: they are lost. */
  readonly kind: 'true' | 'wraps' | 'ends' | 'damaged';
  /** Where the drive really ends, as well as that can be told; where the first loss is for a damaged one. */
  readonly realEnd: number;
}

/** How a probe is done. */
export interface ProbeOptions {
  readonly signal: AbortSignal;
  /** Called with bytes written or read; in all it is twice what the places have. */
  readonly onBytes?: (bytes: number) => void;
}

/** Flash memory comes in multiples of this, so that real capacities are as well. */
const grain = 4 * 1024 * 1024;

/** All places together take about this much, each at least `smallestPlace`. */
const bytesInAll = 8 * 1024 * 1024;
const smallestPlace = 4096;
const largestPlace = 64 * 1024;

const sectorSize = 512;
const magic = Buffer.from('davit probe\0');

/**
 * Where a range is probed: every `grain` for the square root of the range, then in steps of that length up to the end, so that any
 * wrap-around by a multiple of `grain` makes two places meet; at powers of two; and at the very end.
 */
export function placesToProbe({ start, size }: ByteRange): ByteRange[] {
  const steps = Math.max(1, Math.ceil(Math.sqrt(size / grain)));
  const offsets = new Set<number>();
  for (let at = 0; at < steps * grain; at += grain) offsets.add(at);
  for (let at = 0; at < size; at += steps * grain) offsets.add(at);
  offsets.add(Math.floor((size - largestPlace) / grain) * grain);
  for (let at = grain; at < size; at *= 2) offsets.add(at - start);
  const fair = Math.floor(bytesInAll / offsets.size / smallestPlace) * smallestPlace;
  const placeSize = Math.min(largestPlace, Math.max(smallestPlace, fair));
  const last = size - placeSize;
  return [...offsets, last]
    .filter((offset) => offset >= 0 && (offset === last || offset + placeSize <= last))
    .sort((a, b) => a - b)
    .map((offset) => ({ start: start + offset, size: placeSize }));
}

/**
 * Finds out whether a drive keeps what is written to all of a range, by writing a pattern of its own to each of a few hundred places and
 * reading them all back. Destroys what is there. Places are written from the end to the beginning, so that whatever cache the drive has is
 * filled by others before the first one is read. Fails when even the first place of the range cannot be written and read.
 */
export async function probeCapacity(
  medium: ProbedMedium,
  range: ByteRange,
  { signal, onBytes = () => undefined }: ProbeOptions,
): Promise<CapacityVerdict> {
  const places = placesToProbe(range);
  const patterns = new Patterns();
  const downwards = places.toReversed();
  for (const place of downwards) {
    if (signal.aborted) throw interrupted();
    await orLost(patterns.write(medium, place));
    onBytes(place.size);
  }
  await medium.flush();
  const findings: Finding[] = [];
  for (const place of downwards) {
    if (signal.aborted) throw interrupted();
    findings.unshift(await orLost(patterns.read(medium, place)));
    onBytes(place.size);
  }
  return judge(medium, range, places, findings, patterns, signal);
}

/** What was found at a place: its own pattern, that of another one, with the way back to it in bytes, or none (undefined). */
type Finding = 'own' | { readonly from: number; readonly way: number } | undefined;

async function judge(
  medium: ProbedMedium,
  range: ByteRange,
  places: readonly ByteRange[],
  findings: readonly Finding[],
  patterns: Patterns,
  signal: AbortSignal,
): Promise<CapacityVerdict> {
  const index = findings.findIndex((finding) => finding !== 'own');
  const firstBad = places[index];
  if (firstBad === undefined) return { kind: 'true', realEnd: range.start + range.size };
  if (index === 0) throw new Failure('failed', 'drive-failed', 'it does not keep what is written to it');
  const period = wrapPeriod(findings, firstBad.start);
  if (period !== undefined) return { kind: 'wraps', realEnd: Math.min(period, firstBad.start) };
  // Beyond its end a drive keeps nothing; what is lost amid what is kept is damage.
  if (findings.slice(index).includes('own')) return { kind: 'damaged', realEnd: firstBad.start };
  // What the lowest place beyond the end was given may be kept where all others beyond the end went as well.
  const lastGood = places[index - 2] ?? { start: range.start, size: firstBad.size };
  const realEnd = await findEnd(medium, patterns, [lastGood, firstBad], signal);
  return { kind: 'ends', realEnd };
}

/** The common divisor of the ways from places to those whose patterns they hold, all of which are multiples of the real capacity. */
function wrapPeriod(findings: readonly Finding[], firstBad: number): number | undefined {
  const ways = findings.flatMap((finding) => {
    // A drive that maps everything beyond its end to one and the same block does not wrap.
    return typeof finding === 'object' && finding.from < firstBad ? [finding.way] : [];
  });
  return ways.length === 0 ? undefined : ways.reduce(greatestCommonDivisor);
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

async function findEnd(
  medium: ProbedMedium,
  patterns: Patterns,
  [good, bad]: readonly [ByteRange, ByteRange],
  signal: AbortSignal,
): Promise<number> {
  let low = Math.floor(good.start / largestPlace);
  let high = Math.ceil(bad.start / largestPlace);
  while (high - low > 1) {
    if (signal.aborted) throw interrupted();
    const middle = Math.floor((low + high) / 2);
    const place = { start: middle * largestPlace, size: good.size };
    await orLost(patterns.write(medium, place));
    // A drive may keep what it was given last, wherever that was meant to go.
    await orLost(patterns.write(medium, bad));
    await medium.flush();
    if ((await orLost(patterns.read(medium, place))) === 'own') low = middle;
    else high = middle;
  }
  return high * largestPlace;
}

/** What cannot be written or read is lost like what reads back differently: some drives answer with an error beyond their end. */
async function orLost<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Failure && error.code === 'drive-failed') return undefined;
    throw error;
  }
}

/**
 * Patterns that tell for which offset and by which probe they were made: each sector begins with its own offset, and the rest is a stream
 * of random bytes at that offset. No sector looks like a partition table, in case one lands where a table is looked for.
 */
class Patterns {
  readonly #key = randomBytes(16);
  readonly #memory = alignedBuffer(largestPlace);

  async write(medium: ProbedMedium, place: ByteRange): Promise<void> {
    const bytes = this.#memory.subarray(0, place.size);
    this.#make(place).copy(bytes);
    await medium.write(bytes, place.start);
  }

  async read(medium: ProbedMedium, { start, size }: ByteRange): Promise<Finding> {
    const bytes = this.#memory.subarray(0, size).fill(0);
    await medium.read(bytes, start);
    const expected = this.#make({ start, size });
    let at = 0;
    while (at < size && !differsAt(at, bytes, expected)) at += sectorSize;
    if (at === size) return 'own';
    const sector = bytes.subarray(at, at + sectorSize);
    const from = Number(sector.readBigUInt64LE(magic.length));
    const isPattern = Number.isSafeInteger(from) && this.#make({ start: from, size: sectorSize }).equals(sector);
    return isPattern ? { from, way: Math.abs(start + at - from) } : undefined;
  }

  #make({ start, size }: ByteRange): Buffer {
    const cipherBlock = 16;
    const counter = Buffer.alloc(cipherBlock);
    counter.writeBigUInt64BE(BigInt(start) / BigInt(cipherBlock), 8);
    const bytes = createCipheriv('aes-128-ctr', this.#key, counter).update(Buffer.alloc(size));
    for (let at = 0; at < size; at += sectorSize) {
      magic.copy(bytes, at);
      bytes.writeBigUInt64LE(BigInt(start + at), at + magic.length);
      // Where a boot record would have its signature.
      bytes.writeUInt16LE(0, at + sectorSize - 2);
    }
    return bytes;
  }
}

function differsAt(at: number, a: Buffer, b: Buffer): boolean {
  return a.compare(b, at, at + sectorSize, at, at + sectorSize) !== 0;
}
