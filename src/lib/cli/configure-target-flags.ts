import { Flags } from '@oclif/core';
import type { ConfigureTarget } from '../boot-config/configure-image.js';
import { type RiskFlags, riskFlags } from './drive-flags.js';

/** Says which partition is the boot partition, for every command that looks into one. */
export const partitionFlag = {
  partition: Flags.string({
    helpValue: '<number|name>',
    summary: 'Partition that holds config.json, where davit would take another one or none.',
  }),
};

/** Says which file of a zip is meant, for every command that reads packed images. */
export const entryFlag = {
  entry: Flags.string({ helpValue: '<name>', summary: 'The image inside a zip that holds several files.' }),
};

/** The flags that say where a configured image goes and what is only shown, for every command that changes a boot partition. */
export const configureTargetFlags = {
  output: Flags.string({
    char: 'o',
    summary: 'Configured image to write. [default: <name>.configured.img beside the image]',
    helpValue: '<file>',
    exclusive: ['in-place'],
  }),
  'in-place': Flags.boolean({ summary: 'Replace the image by the configured one.' }),
  force: Flags.boolean({ summary: 'Replace an output file that exists.' }),
  ...partitionFlag,
  ...entryFlag,
  'dry-run': Flags.boolean({ summary: 'Show what would be done and write nothing.' }),
  diff: Flags.boolean({ summary: 'Show what would change in each file, secrets hidden, and write nothing.' }),
  check: Flags.boolean({ summary: 'End with exit code 4 if anything would change, and write nothing.' }),
  yes: Flags.boolean({ char: 'y', summary: 'Do not ask before a drive is changed.' }),
  quiet: Flags.boolean({ char: 'q', summary: 'Say nothing but warnings and what is wrong.' }),
  ...riskFlags,
};

/** The same for commands that make one small change: they change the image itself unless told otherwise. */
export const editTargetFlags = {
  output: Flags.string({
    char: 'o',
    summary: 'Changed image to write; the image then stays as it is.',
    helpValue: '<file>',
  }),
  force: configureTargetFlags.force,
  ...partitionFlag,
  ...entryFlag,
  'dry-run': configureTargetFlags['dry-run'],
  diff: configureTargetFlags.diff,
  check: configureTargetFlags.check,
  yes: configureTargetFlags.yes,
  quiet: configureTargetFlags.quiet,
  ...riskFlags,
};

/** The values of `editTargetFlags` after parsing. */
export interface EditTargetFlagValues extends RiskFlags {
  readonly output: string | undefined;
  readonly force: boolean;
  readonly partition: string | undefined;
  readonly entry: string | undefined;
  readonly 'dry-run': boolean;
  readonly diff: boolean;
  readonly check: boolean;
  readonly yes: boolean;
  readonly quiet: boolean;
}

/** The values of `configureTargetFlags` after parsing. */
interface ConfigureTargetFlagValues extends EditTargetFlagValues {
  readonly 'in-place': boolean;
}

/** Where the flags say that the configured image goes. */
export function readConfigureTarget(flags: ConfigureTargetFlagValues): ConfigureTarget {
  if (flags.diff || flags.check) return { kind: 'nowhere' };
  if (flags['in-place']) return { kind: 'in-place' };
  return { kind: 'new-file', path: flags.output, mayOverwrite: flags.force };
}

/** Where the flags of a command that makes one small change say that the changed image goes. */
export function readEditTarget(flags: EditTargetFlagValues): ConfigureTarget {
  return readConfigureTarget({ ...flags, 'in-place': flags.output === undefined });
}
