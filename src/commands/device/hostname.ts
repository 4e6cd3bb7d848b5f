import { Args } from '@oclif/core';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { deviceFlags, deviceOpeners, forceFlag, waitFlags, waitMsFrom } from '../../lib/cli/device-flags.js';
import { type NamedDevice, readHostname, requireHostname, setHostname } from '../../lib/device/hostname.js';

/** What `davit device hostname --json` prints. */
export interface DeviceHostnameResult {
  readonly version: 1;
  readonly address: string;
  readonly hostname: string;
  /** What a device was called that was given another name. */
  readonly before?: string;
  readonly takesEffect?: NamedDevice['takesEffect'];
  /** Whether the network answers for the name; null where nobody waited for that. */
  readonly isAnnounced?: boolean | null;
}

export default class DeviceHostname extends BaseCommand {
  static override summary = 'Show the host name of a device, or give it another one.';
  static override description =
    'The name is written by the Supervisor, or to config.json by SSH. On balenaOS it takes effect at once, and restarts the engine and ' +
    'with it the services. davit then knows the device, and its host key, by the new name.\n\n' +
    'A name that another device in the network answers to is refused unless --force is given.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> 63ec46c',
    '<%= config.bin %> <%= command.id %> 63ec46c bench-3',
  ];
  static override args = {
    device: Args.string({ required: true, description: 'Name, address or UUID of the device.' }),
    hostname: Args.string({ description: 'Its new name.' }),
  };
  static override flags = { ...waitFlags('found by its new name', 30), ...forceFlag, ...deviceFlags };

  async run(): Promise<DeviceHostnameResult> {
    const { args, flags } = await this.parse(DeviceHostname);
    const { signal, progress, streams } = this;
    const hostname = args.hostname === undefined ? undefined : requireHostname(args.hostname);
    const device = await deviceOpeners(flags, { streams, signal, progress })(args.device)(signal);
    try {
      if (hostname === undefined) {
        const now = await readHostname(device, signal);
        this.print(now);
        return { version: 1, address: device.address, hostname: now };
      }
      const request = { hostname, force: flags.force, waitMs: waitMsFrom(flags), signal, progress };
      const named = await setHostname(device, request);
      this.#tell(named, device.name);
      return { version: 1, address: device.address, ...named };
    } finally {
      await device.close();
    }
  }

  #tell({ hostname, before, takesEffect, isAnnounced }: NamedDevice, name: string): void {
    if (takesEffect === 'at-next-start') {
      this.print(`${before} is called ${hostname} from its next start on: davit device reboot ${name}`);
      return;
    }
    this.print(before === hostname ? `It is called ${hostname} already` : `${before} is called ${hostname} now`);
    if (isAnnounced === false) {
      const text = `Nothing answers for ${hostname}.local in this network yet`;
      this.progress({ type: 'notice', level: 'warning', text });
    }
  }
}
