import { BaseCommand } from '../../lib/cli/base-command.js';
import { deviceFlags, deviceOpeners, devicesArgs } from '../../lib/cli/device-flags.js';
import { onEachDevice } from '../../lib/cli/each-device.js';
import { blinkSeconds, identifyDevice } from '../../lib/device/identify.js';

/** What `davit device identify --json` prints. */
export interface DeviceIdentifyResult {
  readonly version: 1;
  readonly devices: readonly { readonly name: string; readonly address: string }[];
}

export default class DeviceIdentify extends BaseCommand {
  static override summary = 'Blink the light of devices, to see which is which.';
  static override description = `Blinks for ${blinkSeconds} s, through the Supervisor or by SSH. Not every board has a light that the OS can blink.`;
  static override examples = ['<%= config.bin %> <%= command.id %> 63ec46c'];
  static override args = devicesArgs;
  static override flags = deviceFlags;

  async run(): Promise<DeviceIdentifyResult> {
    const { args, flags } = await this.parse(DeviceIdentify);
    const { signal, progress, streams } = this;
    const open = deviceOpeners(flags, { streams, signal, progress });
    const devices = await onEachDevice({
      names: args.devices,
      work: async (word) => {
        const device = await open(word)(signal);
        try {
          await identifyDevice(device, signal);
          return { name: device.name, address: device.address };
        } finally {
          await device.close();
        }
      },
      onDone: ({ name, address }) => {
        this.print(`${name} at ${address} blinks`);
      },
      progress,
    });
    return { version: 1, devices };
  }
}
