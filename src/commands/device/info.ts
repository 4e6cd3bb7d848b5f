import { Args } from '@oclif/core';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { deviceFlags, deviceOpeners } from '../../lib/cli/device-flags.js';
import { deviceInfo, type DeviceInfo } from '../../lib/device/device-info.js';
import { deviceInfoLines } from '../../lib/output/device-info-text.js';

/** What `davit device info --json` prints. */
export interface DeviceInfoResult extends DeviceInfo {
  readonly version: 1;
}

export default class DeviceInfoCommand extends BaseCommand {
  static override summary = 'Show everything about a device.';
  static override description =
    'Asks the host by SSH, the engine and the Supervisor at once, and puts together what they say; each of them is optional.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> 63ec46c',
    '<%= config.bin %> <%= command.id %> 63ec46c --json',
  ];
  static override args = {
    device: Args.string({ required: true, description: 'Name, address or UUID of the device.' }),
  };
  static override flags = deviceFlags;

  async run(): Promise<DeviceInfoResult> {
    const { args, flags } = await this.parse(DeviceInfoCommand);
    const { signal, progress, streams } = this;
    const device = await deviceOpeners(flags, { streams, signal, progress })(args.device)(signal);
    try {
      const info = await deviceInfo(device, { signal, progress });
      for (const line of deviceInfoLines(info)) this.print(line);
      return { version: 1, ...info };
    } finally {
      await device.close();
    }
  }
}
