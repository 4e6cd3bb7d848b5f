import { Failure } from '../failure/failure.js';
import type { SourceFormat } from '../image/source-format.js';
import type { ImageSource } from '../image/source.js';
import { noFindings, type SourceFindings } from '../image/source-proof.js';
import type { DriveTask } from './drive-task.js';

/** What a flash did. */
export interface FlashResult {
  readonly image: FlashedImage;
  readonly drives: readonly FlashedDrive[];
  /** From the beginning to the end, in seconds. */
  readonly seconds: number;
}

/** The image that was flashed. Sizes are bytes. */
export interface FlashedImage extends SourceFindings {
  readonly name: string;
  readonly format: SourceFormat;
  readonly size: number;
  /** How much of it matters, and is on the drives now. */
  readonly mapped: number;
}

/** What became of one drive. */
export interface FlashedDrive {
  readonly path: string;
  readonly serial: string | null;
  readonly outcome: 'done' | 'failed' | 'interrupted';
  /** What is on the drive now, in one sentence. */
  readonly state: string;
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
  readonly bytesWritten: number;
  /** Bytes that the drive held already, so that they were not written. */
  readonly bytesSkipped: number;
  /** Bytes read back and found equal; 0 when that was not asked for. */
  readonly bytesVerified: number;
  /** Runs that were wrong when they were read back, and right after they had been written again. */
  readonly runsRepaired: number;
  /** Whether they came from the medium, or, on a file that knows no direct I/O, perhaps only from memory; null where there are none. */
  readonly verifiedFrom: 'medium' | 'cache' | null;
  /** Whether something was done to make it safe to pull. */
  readonly ejected: boolean;
  /** How long each phase took, in seconds; null for one that was not come to. */
  readonly phases: Readonly<Record<FlashPhase, number | null>>;
  /** From the beginning of the flash until the drive was done or given up, in seconds. */
  readonly seconds: number;
}

/** What is done to a drive, in this order. */
export const flashPhases = ['wipe', 'write', 'verify', 'table'] as const;
export type FlashPhase = (typeof flashPhases)[number];

/** What became of the drive of a task that is over. */
export function flashedDrive(task: DriveTask): FlashedDrive {
  const { writer, failure, phases, bytesWritten, bytesSkipped, bytesVerified, runsRepaired } = task;
  const { drive } = writer;
  return {
    path: drive.path,
    serial: drive.serial ?? null,
    outcome: failure !== undefined ? 'failed' : task.table === 'new' ? 'done' : 'interrupted',
    state: driveState(task),
    error: failure === undefined ? null : { code: failure.code, message: failure.message, hint: failure.hint ?? null },
    bytesWritten,
    bytesSkipped,
    bytesVerified,
    runsRepaired,
    verifiedFrom: bytesVerified === 0 ? null : writer.isDirect ? 'medium' : 'cache',
    ejected: task.isEjected,
    phases: phases.seconds,
    seconds: phases.total,
  };
}

/** What is on a drive now, in one sentence. */
export function driveState({ table, writer: { drive } }: Pick<DriveTask, 'table' | 'writer'>): string {
  switch (table) {
    case 'new':
      return `${drive.path} holds the image`;
    case 'old':
      return `${drive.path} is as it was`;
    case 'none':
      return `${drive.path} holds no partition table now and does not boot; flash it again before you use it`;
    case 'unsure':
      return `${drive.path} may hold half a system; flash it again before you use it`;
  }
}

/** What is known of the image after a flash. */
export function flashedImage(
  { name, format }: Pick<ImageSource, 'name' | 'format'>,
  size: number,
  mapped: number,
  findings: SourceFindings = noFindings,
): FlashedImage {
  return { name, format, size, mapped, ...findings };
}

/** The failure that a flash ends with, given what went wrong and what became of each drive. */
export function flashFailure(
  error: unknown,
  tasks: readonly DriveTask[],
  drives: readonly FlashedDrive[],
): Error | undefined {
  const failures = tasks.flatMap((task) => task.failure ?? []);
  const [first] = failures;
  const report = { drives };
  if (error instanceof Failure) return error.withReport(report);
  if (error !== undefined) return error instanceof Error ? error : new Error('a flash was ended', { cause: error });
  if (first === undefined) return undefined;
  if (tasks.length === 1) return first.withReport(report);
  const list = failures.map((failure) => `\n  ${failure.message}`).join('');
  return new Failure('failed', 'drives-failed', `${failures.length} of ${tasks.length} drives failed:${list}`, {
    hint: 'The other drives are done',
    cause: first,
    report,
  });
}
