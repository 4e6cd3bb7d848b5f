import type { DriveRisk } from '../drives/drive-risks.js';
import { watchDrives } from '../drives/watch-drives.js';
import { Failure } from '../failure/failure.js';
import { chooseDrives } from '../output/choose-drives.js';
import type { Streams } from '../output/streams.js';
import { acceptedByFlags, type RiskFlags } from './drive-flags.js';

/** Which drives are to be written, and which risks of that the user takes. */
export interface DriveChoice {
  /** What the user calls them. */
  readonly drives: readonly string[];
  readonly accepted: readonly DriveRisk[];
}

/** Takes the choice from the flags or, where no drive is named, from the user. Fails with `usage` where nobody can be asked. */
export async function readDriveChoice(
  flags: RiskFlags & { readonly drive: readonly string[] | undefined; readonly yes: boolean },
  { streams, signal }: { readonly streams: Streams; readonly signal: AbortSignal },
): Promise<DriveChoice> {
  const accepted = acceptedByFlags(flags, streams);
  if (flags.drive !== undefined) return { drives: flags.drive, accepted };
  const question = { message: 'Which drives are to be flashed?', insteadOfAsking: '--drive <drive>', signal };
  if (flags.yes) {
    throw new Failure('usage', 'answer-needed', 'with --yes the drive has to be named', {
      hint: `Pass ${question.insteadOfAsking}`,
    });
  }
  const watch = (watching: AbortSignal) => watchDrives({ signal: watching, accepted });
  return { drives: await chooseDrives(question, watch, streams), accepted };
}
