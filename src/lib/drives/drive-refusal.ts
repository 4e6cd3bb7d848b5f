import { Failure } from '../failure/failure.js';
import type { DriveUse } from './drive-uses.js';

/** One reason not to write a drive. */
export interface DriveRefusal {
  readonly code:
    'system-drive' | 'drive-in-use' | 'drive-read-only' | 'no-medium' | 'not-a-drive' | 'platform-unsupported';
  readonly text: string;
  /** What the user can do about it. */
  readonly hint: string;
}

/** The refusal that follows from a use. */
export function refusalFor(path: string, use: DriveUse): DriveRefusal {
  switch (use.kind) {
    case 'system':
      return {
        code: 'system-drive',
        text: `${path} holds part of the running system: ${use.text}`,
        hint: 'Choose another drive; list them with: davit drives',
      };
    case 'swap':
      return {
        code: 'drive-in-use',
        text: use.text,
        hint: 'If it is the right drive, stop swapping to it first: sudo swapoff --all',
      };
    case 'mounted':
      return {
        code: 'drive-in-use',
        text: use.text,
        hint: `If it is the right drive, unmount it first: sudo umount '${use.mountPoint ?? path}'`,
      };
    case 'held':
      return {
        code: 'drive-in-use',
        text: `${path} is in use by ${use.text}`,
        hint: 'If it is the right drive, stop what uses it first',
      };
  }
}

/** Fails with `refused` for a drive that must not be written, naming who uses it. */
export function requireFlashable(drive: { readonly refusals: readonly DriveRefusal[] }): void {
  const [first, ...others] = drive.refusals;
  if (first === undefined) return;
  const also = others.length > 0 ? ` (and: ${others.map((one) => one.text).join('; ')})` : '';
  throw new Failure('refused', first.code, `${first.text}${also}`, { hint: first.hint });
}
