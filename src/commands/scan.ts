import { Flags } from '@oclif/core';
import { BaseCommand } from '../lib/cli/base-command.js';
import { deviceSources } from '../lib/device/device-sources.js';
import type { DeviceChange, FoundDevice } from '../lib/discovery/found-device.js';
import { Inventory } from '../lib/discovery/inventory.js';
import { scanDevices, type ScanOptions, watchDevices } from '../lib/discovery/scan.js';
import { parseSweepRange } from '../lib/discovery/sweep.js';
import { Failure } from '../lib/failure/failure.js';
import type { LiveLines } from '../lib/output/live-lines.js';
import { deviceChangeLine, foundDeviceHeading, foundDeviceLine, foundDeviceLines } from '../lib/output/scan-text.js';

/** What `davit scan --json` prints. */
export interface ScanResult {
  readonly version: 1;
  readonly devices: readonly FoundDevice[];
}

export default class Scan extends BaseCommand {
  static override summary = 'List the devices in the local network.';
  static override description =
    'Listens for multicast DNS announcements on every network interface, over IPv4 and IPv6, without root and beside any ' +
    'mDNS service this computer runs. Prints each device as soon as it is found. Exits with 3 when there is none.\n\n' +
    'What a device is follows from its engine and Supervisor where they are open (development mode, local mode), and from ' +
    'SSH where davit has logged in to it before. Devices are remembered: see device list.';
  static override examples = [
    '<%= config.bin %> scan',
    '<%= config.bin %> scan --watch',
    '<%= config.bin %> scan --interface eth1 --timeout 10',
    '<%= config.bin %> scan --sweep 192.168.1.0/24',
    '<%= config.bin %> scan --json',
  ];
  static override flags = {
    timeout: Flags.integer({ default: 4, min: 1, max: 60, helpValue: '<seconds>', summary: 'How long to listen.' }),
    interface: Flags.string({
      multiple: true,
      helpValue: '<name>',
      summary: 'Listen on this network interface only. Can be repeated.',
    }),
    sweep: Flags.string({
      multiple: true,
      helpValue: '<network/bits>',
      summary:
        'Also try every IPv4 address of this range, for networks that drop multicast; 256 addresses take a second. Can be repeated.',
    }),
    watch: Flags.boolean({
      char: 'w',
      summary:
        'Go on showing the devices as they come, change and go, until Ctrl-C; with --json one line for each that does.',
    }),
  };

  #isWatching = false;

  async run(): Promise<ScanResult> {
    const { flags } = await this.parse(Scan);
    this.#isWatching = flags.watch;
    const options = {
      signal: this.signal,
      inventory: new Inventory(this.progress),
      interfaces: flags.interface,
      sweep: flags.sweep?.map(parseSweepRange),
      sources: deviceSources(),
    };
    if (flags.watch) {
      await this.showUntilLeft(watchDevices(options), this.#shower());
      return { version: 1, devices: [] };
    }
    const timeoutMs = flags.timeout * 1000;
    const devices =
      this.streams.stdoutIsTerminal && !this.jsonEnabled()
        ? await this.#scanOnTerminal({ ...options, timeoutMs })
        : await scanDevices({ ...options, timeoutMs, tellsOnce: true, onChange: this.#printer() });
    if (devices.length === 0) throw noDevice(flags.timeout, flags.sweep);
    return { version: 1, devices };
  }

  /** Prints a line for each device, which nothing can be added to. */
  #printer(): (change: DeviceChange) => void {
    let printed = 0;
    return ({ type, device }) => {
      if (type !== 'found') return;
      if (printed++ === 0) this.print(foundDeviceHeading());
      this.print(foundDeviceLine(device));
    };
  }

  /** Shows a table that fills while devices come and tell more of themselves, and leaves it there. */
  async #scanOnTerminal(options: Omit<ScanOptions, 'onChange'>): Promise<FoundDevice[]> {
    const live = this.liveLines();
    const devices = await scanDevices({ ...options, onChange: tableOn(live) });
    live.leave(devices.length > 0 ? foundDeviceLines(devices) : []);
    return devices;
  }

  /** What has been watched has been printed already. */
  protected override logJson(document: unknown): void {
    if (!this.#isWatching) super.logJson(document);
  }

  /** Shows what happens: as a table in place on a terminal, otherwise one line for each change. */
  #shower(): (change: DeviceChange) => void {
    const { stdout, stdoutIsTerminal } = this.streams;
    if (this.jsonEnabled()) return (change) => stdout.write(`${JSON.stringify(change)}\n`);
    if (!stdoutIsTerminal) return (change) => this.print(deviceChangeLine(change));
    return tableOn(this.liveLines());
  }
}

/** Keeps a table of the devices that are there. */
function tableOn(live: LiveLines): (change: DeviceChange) => void {
  const shown = new Map<number, FoundDevice>();
  return ({ type, id, device }) => {
    if (type === 'lost') shown.delete(id);
    else shown.set(id, device);
    live.show(foundDeviceLines([...shown.values()]));
  };
}

function noDevice(seconds: number, sweep: readonly string[] = []): Failure {
  const message =
    sweep.length > 0
      ? `no device announced itself within ${seconds} s or answers in ${sweep.join(' or ')}`
      : `no device announced itself within ${seconds} s`;
  const hint =
    'Check that the devices are on and in this network. Wi-Fi and routers may keep multicast from passing: then try --sweep with the range of your network, or the address of the device';
  return new Failure('not-found', 'device-not-found', message, { hint });
}
