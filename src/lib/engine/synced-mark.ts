import { type EngineContainer, lookInArchive } from './container-archive.js';

/**
 * A file at the root of each container whose files were changed from outside after its image was built, so that nobody takes it for what its
 * image says. An engine has no other place to note that on a container that runs.
 */
export const syncedMark = '/.davit-synced';

/** Whether the files of a container are no longer those of its image, as changes of a project were carried into it. */
export async function isMarkedSynced(container: EngineContainer, signal: AbortSignal): Promise<boolean> {
  return (await lookInArchive(container, syncedMark, signal)) !== undefined;
}
