import { Args, Flags } from '@oclif/core';
import { openDevice } from '../device/device.js';
import type { DeviceOpener } from '../device/reboot.js';
import {
  type CommandSurroundings,
  deviceOptionsFrom,
  engineFlags,
  type EngineFlagValues,
  supervisorFlags,
} from './engine-flags.js';
import { NewHostKeyPermit } from '../ssh/new-host-key-permit.js';
import { sshFlags } from './ssh-flags.js';

/** Flags of commands that reach a device in whatever way it offers. */
export const deviceFlags = { 'engine-port': engineFlags['engine-port'], ...supervisorFlags, ...sshFlags };

/** The flag of commands that services may object to. */
export const forceFlag = {
  force: Flags.boolean({ default: false, summary: 'Do so although a service holds an update lock.' }),
};

/** Flags of commands that end a system. */
export function waitFlags(forWhat: string, seconds: number) {
  return {
    wait: Flags.boolean({ default: true, allowNo: true, summary: `Wait until it is ${forWhat}.` }),
    timeout: Flags.integer({
      default: seconds,
      min: 1,
      helpValue: '<seconds>',
      summary: `How long to wait until it is ${forWhat}.`,
    }),
  };
}

/** How long to wait, in milliseconds; undefined for not at all. */
export function waitMsFrom(flags: { readonly wait: boolean; readonly timeout: number }): number | undefined {
  return flags.wait ? flags.timeout * 1000 : undefined;
}

/** The arguments of commands that take any number of devices. */
export const devicesArgs = {
  devices: Args.string({ required: true, multiple: true, description: 'Names, addresses or UUIDs of devices.' }),
};

/**
 * What opens the devices that the user named, reached as the flags say, as often as that is needed. All together ask for a passphrase once;
 * each may show a new host key where that is accepted.
 */
export function deviceOpeners(
  flags: EngineFlagValues,
  surroundings: CommandSurroundings,
): (name: string) => DeviceOpener {
  const options = deviceOptionsFrom(flags, surroundings);
  return (name) => {
    const newHostKeyPermit = flags['accept-new-key'] ? new NewHostKeyPermit() : undefined;
    const ssh = { ...options.ssh, newHostKeyPermit };
    return (signal, progress = surroundings.progress) => openDevice(name, { ...options, ssh, signal, progress });
  };
}
