import { crc32 } from 'node:zlib';
import type { WrittenRun } from './drive-thread.js';

/** What is known about a run that reads back differently. */
export interface Mismatch {
  readonly run: WrittenRun;
  /** What the drive gives; undefined where it cannot be read. */
  readonly actual: Buffer | undefined;
  /** What was written; undefined where it can no longer be told. */
  readonly expected: Buffer | undefined;
  /** Everything that was written to the drive. */
  readonly all: readonly WrittenRun[];
}

/** Where the evidence points. */
export interface Diagnosis {
  readonly cause: 'counterfeit' | 'worn' | 'reader' | 'source' | 'unknown';
  /** The evidence, to go on with after what failed. */
  readonly evidence: string;
  readonly hint: string;
}

/** So many wrong bits are a few. */
const fewBits = 32;

const smallestWrap = 1024 * 1024;

/** Finds out what is probably broken, by what a drive gives instead of what was written to it. */
export function diagnoseMismatch({ run, actual, expected, all }: Mismatch): Diagnosis {
  if (expected !== undefined && crc32(expected) !== run.checksum) return sourceChanged;
  if (actual === undefined) return worn('it cannot be read');
  const elsewhere = findElsewhere(run, actual, all);
  if (elsewhere !== undefined) return counterfeit(run, elsewhere);
  const constant = constantByte(actual, expected);
  if (constant !== undefined) return worn(`it gives only ${constant === 0 ? 'zeros' : 'ones'} there`);
  const bits = expected && countWrongBits(actual, expected);
  if (bits !== undefined && bits <= fewBits) return flippedBits(bits);
  return {
    cause: 'unknown',
    evidence: 'it gives something else there',
    hint: 'The card is probably worn out or counterfeit; try another card, then another reader',
  };
}

const sourceChanged: Diagnosis = {
  cause: 'source',
  evidence: 'and the image itself gives other bytes there than when it was read first',
  hint: 'The image was changed meanwhile, or the memory or the disk of this computer is faulty; the card may be good',
};

function worn(evidence: string): Diagnosis {
  return {
    cause: 'worn',
    evidence,
    hint: 'The card is probably worn out, or holds less than it claims; check with --probe, or try another card',
  };
}

function counterfeit({ start }: WrittenRun, other: WrittenRun): Diagnosis {
  const distance = Math.abs(other.start - start);
  let wrap = smallestWrap;
  while (distance % (wrap * 2) === 0) wrap *= 2;
  return {
    cause: 'counterfeit',
    evidence: `it gives there what belongs at byte ${other.start}, so that it holds at most ${wrap} bytes and begins anew behind them`,
    hint: 'The card is counterfeit: it holds less than it claims; use another one',
  };
}

function flippedBits(bits: number): Diagnosis {
  return {
    cause: 'reader',
    evidence: bits === 1 ? 'a single bit is wrong' : `only ${bits} bits are wrong`,
    hint: 'The reader, its cable or the memory of this computer flips bits; try another reader, then another card',
  };
}

/** The run whose content a drive gives instead, at a distance at which the addresses of a card may wrap. */
function findElsewhere(run: WrittenRun, actual: Buffer, all: readonly WrittenRun[]): WrittenRun | undefined {
  // What is the same everywhere is no evidence.
  if (constantByte(actual, undefined) !== undefined) return undefined;
  const checksum = crc32(actual);
  const wraps = (distance: number) => distance !== 0 && distance % smallestWrap === 0;
  return all.find((one) => one.size === run.size && one.checksum === checksum && wraps(one.start - run.start));
}

/** 0 or 0xff where all bytes that are wrong are that. */
function constantByte(actual: Buffer, expected: Buffer | undefined): number | undefined {
  const candidate = expected === undefined ? actual[0] : actual.find((byte, at) => byte !== expected[at]);
  if (candidate !== 0 && candidate !== 0xff) return undefined;
  const isConstant = actual.every((byte, at) => byte === candidate || byte === expected?.[at]);
  return isConstant ? candidate : undefined;
}

function countWrongBits(actual: Buffer, expected: Buffer): number {
  let count = 0;
  for (const [at, byte] of actual.entries()) {
    for (let wrong = byte ^ (expected[at] ?? 0); wrong !== 0; wrong &= wrong - 1) count += 1;
  }
  return count;
}
