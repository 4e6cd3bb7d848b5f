import { Flags } from '@oclif/core';
import { BaseCommand } from '../lib/cli/base-command.js';
import { Inventory } from '../lib/discovery/inventory.js';
import { type FoundDevice, scanDevices } from '../lib/discovery/scan.js';
import { Failure } from '../lib/failure/failure.js';
import { tableLine } from '../lib/output/table.js';

/** What `davit scan --json` prints. */
export interface ScanResult {
  readonly version: 1;
  readonly devices: readonly FoundDevice[];
}

export default class Scan extends BaseCommand {
  static override summary = 'List the devices in the local network.';
  static override description =
    'Listens for multicast DNS announcements on every network interface, over IPv4 and IPv6, without root and beside any ' +
    'mDNS service this computer runs. Prints each device as soon as it is found. Exits with 3 when there is none.';
  static override examples = [
    '<%= config.bin %> scan',
    '<%= config.bin %> scan --interface eth1 --timeout 10',
    '<%= config.bin %> scan --json',
  ];
  static override flags = {
    timeout: Flags.integer({ default: 4, min: 1, max: 60, helpValue: '<seconds>', summary: 'How long to listen.' }),
    interface: Flags.string({
      multiple: true,
      helpValue: '<name>',
      summary: 'Listen on this network interface only. Can be repeated.',
    }),
  };

  async run(): Promise<ScanResult> {
    const { flags } = await this.parse(Scan);
    let printed = 0;
    const devices = await scanDevices({
      signal: this.signal,
      timeoutMs: flags.timeout * 1000,
      inventory: new Inventory(this.progress),
      interfaces: flags.interface,
      onFound: (device) => {
        if (printed++ === 0) this.print(tableLine(widths, headings));
        this.print(tableLine(widths, cells(device)));
      },
    });
    if (devices.length === 0) {
      throw new Failure('not-found', 'device-not-found', `no device announced itself within ${flags.timeout} s`, {
        hint: 'Check that the devices are on and in this network; Wi-Fi and routers may keep multicast from passing. A device can also be reached by its address',
      });
    }
    return { version: 1, devices };
  }
}

const headings = ['NAME', 'ADDRESS', 'MODE', 'PORTS', 'INTERFACE', 'ENGINE', 'OS'];
// Rows are printed as devices are found, so the widths are those of usual values; what varies most comes last.
const widths = [20, 16, 11, 16, 10, 15];

function cells(device: FoundDevice): string[] {
  const { hostname, addresses, mode, os, engineVersion, interfaces, openPorts } = device;
  return [
    hostname,
    addresses[0] ?? '',
    mode,
    openPorts.join(','),
    interfaces.join(','),
    engineVersion ?? '-',
    os ?? '-',
  ];
}
