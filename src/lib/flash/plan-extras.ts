import { type Discarding, planDiscard } from '../drives/discard.js';
import type { Drive } from '../drives/drive.js';
import { type Ejection, planEjection } from '../drives/eject.js';
import { FlashJournal, type ImageIdentity } from './flash-journal.js';

/** What can be asked of a flash besides writing an image and verifying it. */
export interface ExtrasRequest {
  /** Read everything first and write only what differs. */
  readonly diff?: boolean;
  /** Go on where an interrupted flash of the same image stopped. */
  readonly resume?: boolean;
  /** Make sure before writing that the drive holds what it claims. */
  readonly probe?: boolean;
  /** Let the drive forget what is not part of the image. */
  readonly discard?: boolean;
  /** Make the drive safe to pull when it is done. */
  readonly eject?: boolean;
}

/** What is done to one drive besides writing and verifying; a plain value. */
export interface DriveExtras {
  /** What of the drive is read first and written only where it differs: everything, what an earlier flash came to, or nothing. */
  readonly compare: 'everything' | 'resumed' | 'nothing';
  /** The byte up to which an interrupted flash of this image came; null when there was none, or when it is not to be gone on with. */
  readonly resumedFrom: number | null;
  readonly probe: boolean;
  /** How it is done, a text that says why it cannot be done, or null when it was not asked for. */
  readonly discard: Discarding | string | null;
  readonly eject: Ejection | null;
}

/** Writing and verifying alone. */
export const noExtras: DriveExtras = {
  compare: 'nothing',
  resumedFrom: null,
  probe: false,
  discard: null,
  eject: null,
};

/** Finds out what can be done to a drive of what was asked for. Nothing is opened. */
export async function planExtras(
  drive: Drive,
  image: ImageIdentity,
  request: ExtrasRequest = {},
): Promise<DriveExtras> {
  const { diff = false, resume = true, probe = false, discard = false, eject = false } = request;
  const mayGoOn = resume && !diff && !drive.isNew;
  const reached = mayGoOn ? await new FlashJournal(drive, image).reached() : undefined;
  return {
    compare: diff ? 'everything' : reached === undefined ? 'nothing' : 'resumed',
    resumedFrom: reached ?? null,
    probe,
    discard: discard ? await planDiscard(drive) : null,
    eject: eject ? await planEjection(drive) : null,
  };
}
