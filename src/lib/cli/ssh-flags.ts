import { Flags } from '@oclif/core';
import { accountFlags } from './account-flags.js';
import { type Via, viaWays } from '../device/cloud-access.js';
import { askSecret } from '../output/prompts.js';
import type { Streams } from '../output/streams.js';
import { NewHostKeyPermit } from '../ssh/new-host-key-permit.js';
import type { SshOptions } from '../ssh/open-ssh.js';

/** Flags of every command that may log in to a device, and that say which way leads to it. */
export const sshFlags = {
  user: Flags.string({ helpValue: '<name>', summary: 'User to log in as. [default: root]', helpGroup: 'SSH' }),
  port: Flags.integer({
    min: 1,
    max: 65_535,
    helpValue: '<number>',
    summary: "Port of the device's SSH server. [default: 22222]",
    helpGroup: 'SSH',
  }),
  identity: Flags.string({
    helpValue: '<file>',
    summary: 'Private key to log in with, instead of those of the SSH agent and of ~/.ssh.',
    helpGroup: 'SSH',
  }),
  'accept-new-key': Flags.boolean({
    aliases: ['accept-new-host-key'],
    summary: 'Accept and remember the host key the device shows now, as after flashing it anew.',
    helpGroup: 'SSH',
  }),
  via: Flags.option({
    options: viaWays,
    summary: 'The only way to take: this network, or the cloud that you are logged in to.',
    helpGroup: 'CLOUD',
  })(),
  ...accountFlags,
};

/** The values of `sshFlags` after parsing. */
export interface SshFlagValues {
  readonly user?: string | undefined;
  readonly port?: number | undefined;
  readonly identity?: string | undefined;
  readonly 'accept-new-key': boolean;
  readonly via?: Via | undefined;
  readonly account?: string | undefined;
}

/** What the flags say, with passphrases asked for on the terminal if there is one. */
export function sshOptionsFrom(flags: SshFlagValues, streams: Streams, signal: AbortSignal): SshOptions {
  const answers = new Map<string, Promise<string>>();
  // One key may be offered to several servers, and again after the link was lost.
  const ask = (keyFile: string) => {
    const insteadOfAsking = '--identity with a key that has no passphrase';
    const answer =
      answers.get(keyFile) ?? askSecret({ message: `Passphrase of ${keyFile}`, insteadOfAsking, signal }, streams);
    answers.set(keyFile, answer);
    return answer;
  };
  return {
    user: flags.user,
    port: flags.port,
    identityFile: flags.identity,
    newHostKeyPermit: flags['accept-new-key'] ? new NewHostKeyPermit() : undefined,
    askPassphrase: streams.stdinIsTerminal && streams.stderrIsTerminal ? ask : undefined,
  };
}
