import { Failure } from '../failure/failure.js';
import type { DrivePlace } from './drive-place.js';
import type { DrivePartition } from './drive-partitions.js';
import { type DriveRisk, looksLikeData, riskFlags } from './drive-risks.js';
import type { DriveUse } from './drive-uses.js';

/** Why a drive must not be written. */
export interface DriveRefusal {
  /** What the user can take upon themselves by name; null where nothing can be done about it. */
  readonly risk: DriveRisk | null;
  readonly failure: Failure;
}

/** What refusals follow from. */
export interface DriveFacts {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly place: Pick<DrivePlace, 'bus' | 'isRemovable' | 'isVirtual'>;
  readonly partitions: readonly DrivePartition[];
  readonly uses: readonly DriveUse[];
  /** Bytes above which a drive is large. */
  readonly largeDriveLimit: number;
}

/** The refusals that follow from what is known of a drive, the most serious first. */
export function refusalsFor(facts: DriveFacts): DriveRefusal[] {
  const { path, size, place, partitions, largeDriveLimit } = facts;
  const refusals = refusalsForUses(facts);
  if (!place.isRemovable && !place.isVirtual) {
    const text = `${path} is built into this computer (${place.bus})`;
    refusals.push({ risk: 'fixed', failure: new Failure('refused', 'drive-fixed', text, hintFor('fixed')) });
  }
  if (size > largeDriveLimit) {
    const text = `${path} has ${gigabytes(size)}, more than the ${gigabytes(largeDriveLimit)} of a card`;
    refusals.push({ risk: 'large', failure: new Failure('refused', 'drive-large', text, hintFor('large')) });
  }
  const planned = facts.uses.filter((use) => use.kind === 'planned').map((use) => use.text);
  const data = [...partitions.filter(looksLikeData).map(describeData), ...planned];
  if (data.length > 0) {
    const failure = new Failure('refused', 'drive-holds-data', data.join('; '), hintFor('data'));
    refusals.push({ risk: 'data', failure });
  }
  return refusals;
}

/** Uses of one kind make one refusal. */
function refusalsForUses({ path, uses }: DriveFacts): DriveRefusal[] {
  const kinds = [...new Set(uses.map((use) => use.kind))];
  return kinds.flatMap((kind): DriveRefusal[] => {
    const ofKind = uses.filter((use) => use.kind === kind);
    const text = ofKind.map((use) => use.text).join('; ');
    switch (kind) {
      case 'system': {
        const hint = 'Choose another drive; list them with: davit drives';
        const message = `${path} holds part of the running system: ${text}`;
        return [{ risk: null, failure: new Failure('refused', 'system-drive', message, { hint }) }];
      }
      case 'mounted':
        return [{ risk: 'mounted', failure: new Failure('refused', 'drive-mounted', text, hintFor('mounted')) }];
      case 'swap':
      case 'held':
      case 'member': {
        const hint = waysOut[kind](ofKind.map((use) => use.device).join(' '));
        return [{ risk: null, failure: new Failure('refused', 'drive-in-use', text, { hint }) }];
      }
      case 'planned':
        return [];
    }
  });
}

/** What frees a drive, given its parts that are used, for those who know that it is the right one. */
const waysOut = {
  swap: () => 'If it is the right drive, first run: sudo swapoff --all, and take it out of /etc/fstab',
  held: () => 'If it is the right drive, stop what uses it first',
  member: (parts: string) => `If what it was part of is no longer needed, first run: sudo wipefs --all ${parts}`,
};

function hintFor(...risks: readonly DriveRisk[]): { readonly hint: string } {
  return { hint: `If it is the right drive, pass ${risks.map((risk) => riskFlags[risk]).join(' ')}` };
}

function describeData({ path, label, fileSystem }: DrivePartition): string {
  const name = label === null ? '' : ` "${label}"`;
  return `${path} looks like somebody's data: ${fileSystem ?? ''}${name}`;
}

/** As drives are labelled: powers of ten. */
function gigabytes(bytes: number): string {
  return bytes < 1e12 ? `${Math.round(bytes / 1e9)} GB` : `${(bytes / 1e12).toFixed(1)} TB`;
}

/** Fails for a drive that must not be written: with what nothing can be done about, else with all that has to be taken upon oneself. */
export function requireFlashable({ refusals }: { readonly refusals: readonly DriveRefusal[] }): void {
  const first = refusals.find((refusal) => refusal.risk === null) ?? refusals[0];
  if (first === undefined) return;
  if (first.risk === null || refusals.length === 1) throw first.failure;
  const message = refusals.map((refusal) => refusal.failure.message).join('; ');
  throw new Failure('refused', 'drive-risky', message, hintFor(...refusals.flatMap((refusal) => refusal.risk ?? [])));
}
