import { Args } from '@oclif/core';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { deviceFlags, deviceOpener, forceFlag } from '../../lib/cli/device-flags.js';
import { controlServices } from '../../lib/device/control-services.js';

/** What `davit device restart --json` prints. */
export interface DeviceRestartResult {
  readonly version: 1;
  readonly device: string;
  readonly address: string;
  /** The services that were restarted. */
  readonly services: readonly string[];
}

export default class DeviceRestart extends BaseCommand {
  static override summary = 'Restart the services of a device, or one of them.';
  static override description =
    'Restarts containers; the device itself goes on running (device reboot restarts that). Goes through the Supervisor, which ' +
    'heeds update locks, or straight to the engine where there is none.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> 63ec46c',
    '<%= config.bin %> <%= command.id %> 63ec46c main',
  ];
  static override args = {
    device: Args.string({ required: true, description: 'Name, address or UUID of the device.' }),
    service: Args.string({ description: 'Only this service.' }),
  };
  static override flags = { ...forceFlag, ...deviceFlags };

  async run(): Promise<DeviceRestartResult> {
    const { args, flags } = await this.parse(DeviceRestart);
    const { signal, progress, streams } = this;
    const device = await deviceOpener(args.device, flags, { streams, signal, progress })(signal);
    try {
      const request = { action: 'restart', service: args.service, force: flags.force, signal } as const;
      const services = await controlServices(device, request);
      this.print(`${services.join(', ')} restarted on ${device.name}`);
      return { version: 1, device: device.name, address: device.address, services };
    } finally {
      await device.close();
    }
  }
}
