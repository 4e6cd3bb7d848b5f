import { Flags } from '@oclif/core';
import { type DeviceOptions, openDevice } from '../device/device.js';
import type { Streams } from '../output/streams.js';
import type { ProgressListener } from '../platform/progress.js';
import { EngineLink } from '../device/engine-link.js';
import { sshFlags, type SshFlagValues, sshOptionsFrom } from './ssh-flags.js';

const port = { min: 1, max: 65_535, helpValue: '<number>' };

/** Flags of every command that uses the engine of a device. */
export const engineFlags = {
  timeout: Flags.integer({
    default: 0,
    min: 0,
    helpValue: '<seconds>',
    summary: 'How long to wait for a device that does not answer yet.',
  }),
  'engine-port': Flags.integer({ ...port, summary: 'TCP port of the engine. [default: 2375]' }),
  ...sshFlags,
};

/** Flags of commands that may also talk to the Supervisor of a device. */
export const supervisorFlags = {
  'supervisor-port': Flags.integer({ ...port, summary: 'TCP port of the Supervisor. [default: 48484]' }),
};

/** The values of `engineFlags` after parsing that say how a device is reached. */
export interface EngineFlagValues extends SshFlagValues {
  readonly 'engine-port'?: number | undefined;
  readonly 'supervisor-port'?: number | undefined;
}

/** What a command lends to the connection. */
export interface CommandSurroundings {
  readonly streams: Streams;
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

/** The engine of the device that the user named, reached as the flags say. Connects to nothing yet. */
export function engineLinkFrom(
  device: string,
  flags: EngineFlagValues,
  { streams, signal, progress }: CommandSurroundings,
): EngineLink {
  const options = deviceOptionsFrom(flags, { streams, signal, progress });
  return new EngineLink(() => openDevice(device, options));
}

/** How a device is reached, as the flags say. */
export function deviceOptionsFrom(
  flags: EngineFlagValues,
  { streams, signal, progress }: CommandSurroundings,
): DeviceOptions {
  const ports = { enginePort: flags['engine-port'], supervisorPort: flags['supervisor-port'] };
  const { via, account } = flags;
  return { signal, progress, ssh: sshOptionsFrom(flags, streams, signal), via, account, ...ports };
}
