import type { ReadBootOptions } from '../boot-config/read-boot-partition.js';
import { zipEntryPrompt } from '../output/zip-entry-prompt.js';
import type { Streams } from '../output/streams.js';
import type { ProgressListener } from '../platform/progress.js';
import { entryFlag, partitionFlag } from './configure-target-flags.js';

/** The flags of the commands that only look into a boot partition. */
export const imageSourceFlags = { ...partitionFlag, ...entryFlag };

/** How the flags and the command say that a boot partition is looked into. */
export function imageSourceOptions(
  flags: Pick<ReadBootOptions, 'partition' | 'entry'>,
  {
    streams,
    signal,
    progress,
  }: { readonly streams: Streams; readonly signal: AbortSignal; readonly progress: ProgressListener },
): ReadBootOptions {
  const { partition, entry } = flags;
  return {
    partition,
    entry,
    chooseEntry: zipEntryPrompt(streams, signal),
    standardInput: streams.stdin,
    signal,
    progress,
  };
}
