import { Flags } from '@oclif/core';
import { BaseCommand } from '../../lib/cli/base-command.js';
import {
  deviceFlags,
  deviceOpeners,
  devicesArgs,
  forceFlag,
  waitFlags,
  waitMsFrom,
} from '../../lib/cli/device-flags.js';
import { onEachDevice } from '../../lib/cli/each-device.js';
import type { PowerOutcome } from '../../lib/device/reboot.js';
import { shutDownDevice } from '../../lib/device/shut-down.js';
import { requireConsent } from '../../lib/output/prompts.js';

/** What `davit device shutdown --json` prints. */
export interface DeviceShutdownResult {
  readonly version: 1;
  readonly devices: readonly PowerOutcome[];
}

export default class DeviceShutdown extends BaseCommand {
  static override summary = 'Switch devices off.';
  static override description =
    'Somebody has to be there to switch them on again, so this asks first unless --yes is given. A device is off when nothing ' +
    'comes back from its address any more.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> 63ec46c',
    '<%= config.bin %> <%= command.id %> bench-1 bench-2 --yes',
  ];
  static override args = devicesArgs;
  static override flags = {
    yes: Flags.boolean({ char: 'y', summary: 'Do not ask.' }),
    ...waitFlags('off', 120),
    ...forceFlag,
    ...deviceFlags,
  };

  async run(): Promise<DeviceShutdownResult> {
    const { args, flags } = await this.parse(DeviceShutdown);
    const { signal, progress, streams } = this;
    if (!flags.yes) await requireConsent(`Switch off ${args.devices.join(', ')}?`, { streams, signal });
    const open = deviceOpeners(flags, { streams, signal, progress });
    const request = { waitMs: waitMsFrom(flags), force: flags.force, signal, progress };
    const devices = await onEachDevice({
      names: args.devices,
      work: (name) => shutDownDevice(open(name), request),
      onDone: ({ name, seconds }) => {
        this.print(seconds === null ? `${name} switches itself off` : `${name} is off (${seconds} s)`);
      },
      progress,
    });
    return { version: 1, devices };
  }
}
