import { BaseCommand } from '../../lib/cli/base-command.js';
import { Inventory } from '../../lib/discovery/inventory.js';
import type { KnownDevice } from '../../lib/discovery/known-device.js';
import { knownDeviceLines } from '../../lib/output/known-device-text.js';

/** What `davit device list --json` prints. */
export interface DeviceListResult {
  readonly version: 1;
  readonly devices: readonly KnownDevice[];
}

export default class DeviceList extends BaseCommand {
  static override summary = 'List the devices that davit knows, the latest first.';
  static override description =
    'davit remembers the devices that it has found, connected to and made cards for, so that they can be called by UUID or ' +
    'alias and reached without looking for them. To see which are there now, use scan.';
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --json'];

  async run(): Promise<DeviceListResult> {
    await this.parse(DeviceList);
    const devices = await new Inventory(this.progress).read();
    for (const line of devices.length > 0 ? knownDeviceLines(devices, Date.now()) : []) this.print(line);
    if (devices.length === 0) {
      this.progress({ type: 'notice', level: 'info', text: 'davit knows no devices yet; davit scan finds them' });
    }
    return { version: 1, devices };
  }
}
