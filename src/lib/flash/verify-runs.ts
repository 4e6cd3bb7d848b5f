import { Failure } from '../failure/failure.js';
import type { BlockMap } from '../image/block-map.js';
import type { ProgressListener } from '../platform/progress.js';
import { type Diagnosis, diagnoseMismatch } from './diagnose-mismatch.js';
import type { BytesListener } from './drive-channel.js';
import type { WrittenRun } from './drive-thread.js';
import type { DriveWriter } from './drive-writer.js';
import { recallRuns, type RecallMeans } from './recall-runs.js';
import { mostRewrites } from './table-writer.js';

/** What runs are verified with. */
export interface VerifyMeans extends RecallMeans {
  readonly writer: DriveWriter;
  /** Everything that was written. */
  readonly all: readonly WrittenRun[];
  /** Called before runs are read, each of them once. */
  readonly startPass: (runs: readonly WrittenRun[]) => BytesListener;
  readonly progress: ProgressListener;
}

/** A drive with so many runs that are wrong is not worth more. */
const mostWrong = 64;

/**
 * Reads runs back from the medium. Those that are wrong are read again and, if they still are, written again from the image, up to three
 * times; since a card whose addresses wrap then loses others, everything that was written is read after that. Gives how many runs had to
 * be written again. Fails where that does not help, saying where it is and what it points at.
 */
export async function verifyRuns(runs: readonly WrittenRun[], means: VerifyMeans): Promise<number> {
  let wrong = await findWrong(runs, means);
  const repaired = new Set<WrittenRun>();
  for (let round = 0; wrong.length > 0; round += 1) {
    const [first] = wrong;
    if (first !== undefined && (round === mostRewrites || wrong.length >= mostWrong)) throw await explain(first, means);
    await repair(wrong, means);
    for (const run of wrong) repaired.add(run);
    wrong = await findWrong(means.all, means);
  }
  return repaired.size;
}

/** Reads runs, and those that are wrong twice: a reader may have misread. */
async function findWrong(runs: readonly WrittenRun[], means: VerifyMeans): Promise<readonly WrittenRun[]> {
  const { writer, progress } = means;
  const first = await writer.check(runs, { most: mostWrong, onBytes: means.startPass(runs) });
  if (first.length === 0 || first.length >= mostWrong) return first;
  const again = await writer.check(first);
  const text = `${writer.drive.path} gave wrong bytes once and the right ones the next time; its reader or cable is unreliable`;
  if (again.length < first.length) progress({ type: 'notice', level: 'warning', text });
  return again;
}

async function repair(wrong: readonly WrittenRun[], means: VerifyMeans): Promise<void> {
  const { writer, progress } = means;
  const rewritten = new Set<WrittenRun>();
  await recallRuns(wrong, means, async (run, bytes) => {
    // Writing over what a card shows instead of what it was given would hide that its addresses wrap.
    const mismatch = await lookAt(run, means, bytes);
    if (mismatch.cause === 'source' || mismatch.cause === 'counterfeit') throw failureOf(run, means, mismatch);
    await writer.write([{ start: run.start, bytes }]);
    rewritten.add(run);
  });
  const lost = wrong.find((run) => !rewritten.has(run));
  if (lost !== undefined) throw failureOf(lost, means, await lookAt(lost, means));
  await writer.flush();
  const places = wrong.length === 1 ? 'a place' : `${wrong.length} places`;
  const text = `${writer.drive.path} held something else than was written at ${places}, which was written again`;
  progress({ type: 'notice', level: 'warning', text });
}

/** What can be told about a run that is wrong, after getting what it should be. */
async function explain(run: WrittenRun, means: VerifyMeans): Promise<Failure> {
  const diagnoses: Diagnosis[] = [];
  await recallRuns([run], means, async (_, bytes) => {
    diagnoses.push(await lookAt(run, means, bytes));
  });
  return failureOf(run, means, diagnoses[0] ?? (await lookAt(run, means)));
}

async function lookAt(run: WrittenRun, { writer, pool, all }: VerifyMeans, expected?: Buffer): Promise<Diagnosis> {
  const slot = await pool.take();
  try {
    const actual = await readIfPossible(writer, slot.bytes.subarray(0, run.size), run.start);
    return diagnoseMismatch({ run, actual, expected, all });
  } finally {
    slot.letGo();
  }
}

async function readIfPossible(writer: DriveWriter, bytes: Buffer, start: number): Promise<Buffer | undefined> {
  try {
    await writer.read({ start, bytes });
    return bytes;
  } catch (error) {
    if (!(error instanceof Failure) || error.kind === 'interrupted') throw error;
    await writer.recover();
    return undefined;
  }
}

function failureOf(run: WrittenRun, { writer, variant }: VerifyMeans, diagnosis: Diagnosis): Failure {
  return readsBackDifferently(writer.drive.path, run, placeOf(run, variant.map), diagnosis);
}

/** The failure of a drive on which a run is not as it should be. */
export function readsBackDifferently(
  path: string,
  run: WrittenRun,
  place: string,
  { evidence, hint }: Pick<Diagnosis, 'evidence' | 'hint'>,
): Failure {
  const range = `bytes ${run.start} to ${run.start + run.size - 1}, ${place},`;
  return new Failure(
    'failed',
    'verification-failed',
    `${path} does not hold what was written to it: ${range} read back differently; ${evidence}`,
    { hint },
  );
}

/** Where a run lies, in the user's words. */
function placeOf(run: WrittenRun, map: BlockMap): string {
  const partition = map.partitions.find((one) => one.start < run.start + run.size && run.start < one.start + one.size);
  if (partition === undefined) return 'outside all partitions';
  return `in partition ${partition.number}${partition.name === undefined ? '' : ` (${partition.name})`}`;
}
