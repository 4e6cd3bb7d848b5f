import { Failure } from '../failure/failure.js';
import type { DriveUse } from './drive-uses.js';

/** The refusals that follow from the uses of a drive, the most serious first; uses of one kind make one refusal. */
export function refusalsFor(path: string, uses: readonly DriveUse[]): Failure[] {
  const kinds = [...new Set(uses.map((use) => use.kind))];
  return kinds.map((kind) => {
    const ofKind = uses.filter((use) => use.kind === kind);
    const text = ofKind.map((use) => use.text).join('; ');
    const mountPoints = ofKind.map((use) => `'${use.mountPoint ?? ''}'`).join(' ');
    switch (kind) {
      case 'system':
        return new Failure('refused', 'system-drive', `${path} holds part of the running system: ${text}`, {
          hint: 'Choose another drive; list them with: davit drives',
        });
      case 'swap':
        return new Failure('refused', 'drive-in-use', text, {
          hint: 'If it is the right drive, first run: sudo swapoff --all',
        });
      case 'mounted':
        return new Failure('refused', 'drive-in-use', text, {
          hint: `If it is the right drive, first run: sudo umount ${mountPoints}`,
        });
      case 'held':
        return new Failure('refused', 'drive-in-use', `${path} is in use by ${text}`, {
          hint: 'If it is the right drive, stop what uses it first',
        });
    }
  });
}

/** Fails for a drive that must not be written, with its first refusal. */
export function requireFlashable(drive: { readonly refusals: readonly Failure[] }): void {
  for (const refusal of drive.refusals) throw refusal;
}
