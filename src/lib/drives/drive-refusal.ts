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

/** The refusals that follow from the uses of a drive, the most serious first; uses of one kind make one refusal. */
export function refusalsFor(path: string, uses: readonly DriveUse[]): DriveRefusal[] {
  const kinds = [...new Set(uses.map((use) => use.kind))];
  return kinds.map((kind) => {
    const ofKind = uses.filter((use) => use.kind === kind);
    const text = ofKind.map((use) => use.text).join('; ');
    const mountPoints = ofKind.map((use) => `'${use.mountPoint ?? ''}'`).join(' ');
    switch (kind) {
      case 'system':
        return {
          code: 'system-drive',
          text: `${path} holds part of the running system: ${text}`,
          hint: 'Choose another drive; list them with: davit drives',
        };
      case 'swap':
        return { code: 'drive-in-use', text, hint: 'If it is the right drive, first run: sudo swapoff --all' };
      case 'mounted':
        return { code: 'drive-in-use', text, hint: `If it is the right drive, first run: sudo umount ${mountPoints}` };
      case 'held':
        return {
          code: 'drive-in-use',
          text: `${path} is in use by ${text}`,
          hint: 'If it is the right drive, stop what uses it first',
        };
    }
  });
}

/** Fails with `refused` for a drive that must not be written, naming who uses it. */
export function requireFlashable(drive: { readonly refusals: readonly DriveRefusal[] }): void {
  const [first, ...others] = drive.refusals;
  if (first === undefined) return;
  const also = others.map((one) => `; also ${one.text}`).join('');
  throw new Failure('refused', first.code, `${first.text}${also}`, { hint: first.hint });
}
