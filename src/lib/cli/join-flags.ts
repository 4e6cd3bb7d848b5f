import { Flags } from '@oclif/core';
import { sshFlags } from './ssh-flags.js';
import { engineFlags } from './engine-flags.js';

/** Flags of the commands that change which fleet a device is in. */
export const joinFlags = {
  'dry-run': Flags.boolean({ summary: 'Show what would change on the device, and change nothing.' }),
  yes: Flags.boolean({ char: 'y', summary: 'Do it without asking.' }),
  timeout: Flags.integer({
    default: 120,
    min: 0,
    helpValue: '<seconds>',
    summary: 'How long to wait for the device afterwards; 0 does not wait.',
  }),
  ...sshFlags,
  'engine-port': engineFlags['engine-port'],
};
