import path from 'node:path';
import type { Drive } from '../drives/drive.js';
import { Failure } from '../failure/failure.js';
import { askText, askYesNo } from './prompts.js';
import type { Streams } from './streams.js';

/**
 * Asks for consent to do something to drives; where that is done only because it was forced, by typing the name of the drive. Fails with
 * `interrupted` without it, and without a terminal.
 *
 * @param deed what is done to them: "erase all data on"
 */
export async function confirmWriting(
  deed: string,
  drives: readonly Drive[],
  { streams, signal }: { readonly streams: Streams; readonly signal: AbortSignal },
): Promise<void> {
  const asking = { insteadOfAsking: '--yes', signal };
  const forced = drives.filter(isForced);
  const usual = drives.filter((drive) => !isForced(drive));
  let isSure = usual.length === 0 || (await askYesNo({ ...asking, message: question(deed, usual) }, streams));
  for (const drive of forced) {
    const name = path.basename(drive.path);
    const message = `${question(deed, [drive])} Type ${name} to do so:`;
    isSure &&= (await askText({ ...asking, message }, streams)) === name;
  }
  if (!isSure) throw new Failure('interrupted', 'declined', 'nothing was written');
}

function isForced({ taken }: Drive): boolean {
  return taken.some((risk) => risk !== 'mounted');
}

/** `Erase all data on /dev/sdb?`, and what is unmounted for it. */
function question(deed: string, drives: readonly Drive[]): string {
  const mountPoints = drives.flatMap(({ partitions }) => partitions.flatMap((one) => one.mountPoints));
  const names = drives.map((drive) => drive.path).join(', ');
  const all = `${mountPoints.length === 0 ? '' : `unmount ${mountPoints.join(', ')} and `}${deed} ${names}?`;
  return all.charAt(0).toUpperCase() + all.slice(1);
}
