import path from 'node:path';
import type { Drive } from '../drives/drive.js';
import { Failure } from '../failure/failure.js';
import { askText, askYesNo } from './prompts.js';
import type { Streams } from './streams.js';

/**
 * Asks for consent to erase drives; for one that is written only because that was forced, by typing its name. Fails with `interrupted`
 * without it, and without a terminal.
 */
export async function confirmErasing(drives: readonly Drive[], streams: Streams, signal: AbortSignal): Promise<void> {
  const asking = { insteadOfAsking: '--yes', signal };
  const forced = drives.filter(isForced);
  const usual = drives.filter((drive) => !isForced(drive));
  let isSure = usual.length === 0 || (await askYesNo({ ...asking, message: eraseQuestion(usual) }, streams));
  for (const drive of forced) {
    const name = path.basename(drive.path);
    const message = `${eraseQuestion([drive])} Type ${name} to do so:`;
    isSure &&= (await askText({ ...asking, message }, streams)) === name;
  }
  if (!isSure) throw new Failure('interrupted', 'declined', 'nothing was written');
}

function isForced({ taken }: Drive): boolean {
  return taken.some((risk) => risk !== 'mounted');
}

/** `Erase all data on /dev/sdb?`, and what is unmounted for it. */
function eraseQuestion(drives: readonly Drive[]): string {
  const mountPoints = drives.flatMap(({ partitions }) => partitions.flatMap((one) => one.mountPoints));
  const names = drives.map((drive) => drive.path).join(', ');
  return `${mountPoints.length === 0 ? 'Erase' : `Unmount ${mountPoints.join(', ')} and erase`} all data on ${names}?`;
}
