import { Args } from '@oclif/core';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { forgetDevice } from '../../lib/discovery/change-known-device.js';
import { Inventory } from '../../lib/discovery/inventory.js';
import { type KnownDevice, nameOf } from '../../lib/discovery/known-device.js';

/** What `davit device forget --json` prints. */
export interface DeviceForgetResult {
  readonly version: 1;
  /** What was known of the device. */
  readonly device: KnownDevice;
}

export default class DeviceForget extends BaseCommand {
  static override summary = 'Forget a known device: its names and where it was.';
  static override description =
    'The host key pinned for it stays pinned. The device is known again as soon as it is found by a scan or connected to.';
  static override examples = ['<%= config.bin %> <%= command.id %> 63ec46c'];
  static override args = {
    device: Args.string({ required: true, description: 'UUID or its beginning, alias, host name or last address.' }),
  };

  async run(): Promise<DeviceForgetResult> {
    const { args } = await this.parse(DeviceForget);
    const device = await forgetDevice(new Inventory(this.progress), args.device);
    this.print(`${nameOf(device)} is forgotten`);
    return { version: 1, device };
  }
}
