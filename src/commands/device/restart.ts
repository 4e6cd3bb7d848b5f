import { Args } from '@oclif/core';
import { ServiceCommand, serviceFlags, type ServiceResult } from '../../lib/cli/service-command.js';

export default class DeviceRestart extends ServiceCommand {
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
  static override flags = serviceFlags;

  async run(): Promise<ServiceResult> {
    const { args, flags } = await this.parse(DeviceRestart);
    return this.control('restart', args, flags);
  }
}
