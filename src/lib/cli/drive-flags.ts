import { Flags } from '@oclif/core';
import type { DriveRisk } from '../drives/drive-risks.js';
import type { Streams } from '../output/streams.js';

/** The risks of writing a drive, each taken by its own name; shared by every command that overwrites drives. */
export const riskFlags = {
  unmount: Flags.boolean({
    helpGroup: 'DRIVE',
    summary: 'Unmount what is mounted from the drive first; asked for on a terminal.',
  }),
  'force-fixed': Flags.boolean({
    helpGroup: 'DRIVE',
    summary: 'Write a drive that is built into this computer.',
  }),
  'force-large': Flags.boolean({
    helpGroup: 'DRIVE',
    summary: 'Write a drive that is larger than a card: 256 GB, or what the variable DAVIT_LARGE_DRIVE says.',
  }),
  'force-data': Flags.boolean({
    helpGroup: 'DRIVE',
    summary: "Write a drive whose file systems look like somebody's data.",
  }),
};

/** Whether each risk is taken. */
export interface RiskFlags {
  readonly unmount: boolean;
  readonly 'force-fixed': boolean;
  readonly 'force-large': boolean;
  readonly 'force-data': boolean;
}

/** The same, and what will be a part of the question: where somebody can be asked, that is whether to unmount. */
export function acceptedByFlags(flags: RiskFlags & { readonly yes: boolean }, streams: Streams): DriveRisk[] {
  const mayAsk = streams.stdinIsTerminal && streams.stderrIsTerminal && !flags.yes;
  return acceptedRisks({ ...flags, unmount: flags.unmount || mayAsk });
}

/** The risks that the user has taken. */
function acceptedRisks(flags: RiskFlags): DriveRisk[] {
  const taken = {
    mounted: flags.unmount,
    fixed: flags['force-fixed'],
    large: flags['force-large'],
    data: flags['force-data'],
  };
  return (['mounted', 'fixed', 'large', 'data'] as const).filter((risk) => taken[risk]);
}
