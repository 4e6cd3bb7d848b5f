import { createHash } from 'node:crypto';
import { isRecord } from '../platform/json.js';
import type { ChangedRange, ChangedRanges, StagedChanges } from './overlay.js';

/** What is kept of a change that is being made, so that it can be taken back. */
export interface UndoJournal {
  /** Who makes it, see `ownProcess`. */
  readonly owner: string;
  /** Number of the image file; 0 for a drive. */
  readonly inode: number;
  /** When the image was read and changed before that; 0 for a drive. */
  readonly accessedMs: number;
  readonly modifiedMs: number;
  readonly changes: StagedChanges;
}

const version = 1;

/** A journal as text, with a checksum by which one that is not whole is known. It holds what the image holds, secrets as well. */
export function encodeUndoJournal({ changes, ...facts }: UndoJournal): string {
  const encoded = JSON.stringify({
    version,
    ...facts,
    before: encodeRanges(changes.before),
    stages: changes.stages.map(encodeRanges),
  });
  return `${encoded}\n${checksum(encoded)}\n`;
}

/** Reads a journal; undefined when it is damaged or only a part of one. */
export function parseUndoJournal(text: string): UndoJournal | undefined {
  const [encoded = '', sum] = text.split('\n');
  if (sum !== checksum(encoded)) return undefined;
  const value: unknown = JSON.parse(encoded);
  if (!isRecord(value) || value.version !== version) return undefined;
  const { owner, inode, accessedMs, modifiedMs } = value;
  if (typeof owner !== 'string' || typeof inode !== 'number') return undefined;
  if (typeof accessedMs !== 'number' || typeof modifiedMs !== 'number') return undefined;
  const before = parseRanges(value.before);
  const stages = Array.isArray(value.stages) ? value.stages.map(parseRanges) : [undefined];
  const whole = stages.flatMap((stage) => (stage === undefined ? [] : [stage]));
  if (before === undefined || whole.length < stages.length) return undefined;
  return { owner, inode, accessedMs, modifiedMs, changes: { before, stages: whole } };
}

function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function encodeRanges(ranges: ChangedRanges) {
  return ranges.map(({ offset, data }) => ({ offset, data: data.toString('base64') }));
}

function parseRanges(value: unknown): ChangedRanges | undefined {
  if (!Array.isArray(value)) return undefined;
  const ranges = value.flatMap((one: unknown): ChangedRange[] => {
    if (!isRecord(one) || typeof one.offset !== 'number' || typeof one.data !== 'string') return [];
    return [{ offset: one.offset, data: Buffer.from(one.data, 'base64') }];
  });
  return ranges.length === value.length ? ranges : undefined;
}
