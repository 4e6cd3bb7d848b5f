import { Flags } from '@oclif/core';

/** The flag of every command that may use an account. */
export const accountFlags = {
  account: Flags.string({
    env: 'DAVIT_ACCOUNT',
    helpValue: '<name>',
    summary: 'Account to use, if not the one that was logged in to last.',
    helpGroup: 'CLOUD',
  }),
};
