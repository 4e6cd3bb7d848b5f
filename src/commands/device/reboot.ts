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
import { type PowerOutcome, rebootDevice } from '../../lib/device/reboot.js';

/** What `davit device reboot --json` prints. */
export interface DeviceRebootResult {
  readonly version: 1;
  readonly devices: readonly PowerOutcome[];
}

export default class DeviceReboot extends BaseCommand {
  static override summary = 'Restart devices and wait until they are back.';
  static override description =
    'A device is back when the same one, by its host key, answers again and was started anew; it may have another address. Ends ' +
    'with 6 when it does not come back in time.\n\n' +
    'Goes through the Supervisor, which heeds update locks, or by SSH, which heeds them too.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> 63ec46c',
    '<%= config.bin %> <%= command.id %> bench-1 bench-2 bench-3 --timeout 120',
    '<%= config.bin %> <%= command.id %> 63ec46c --no-wait',
  ];
  static override args = devicesArgs;
  static override flags = { ...waitFlags('back', 300), ...forceFlag, ...deviceFlags };

  async run(): Promise<DeviceRebootResult> {
    const { args, flags } = await this.parse(DeviceReboot);
    const { signal, progress, streams } = this;
    const open = deviceOpeners(flags, { streams, signal, progress });
    const request = { waitMs: waitMsFrom(flags), force: flags.force, signal, progress };
    const devices = await onEachDevice({
      names: args.devices,
      work: (name) => rebootDevice(open(name), request),
      onDone: ({ name, address, seconds }) => {
        this.print(seconds === null ? `${name} restarts` : `${name} is back at ${address} (${seconds} s)`);
      },
      progress,
    });
    return { version: 1, devices };
  }
}
