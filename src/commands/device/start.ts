import { Args } from '@oclif/core';
import { ServiceCommand, serviceFlags, type ServiceResult } from '../../lib/cli/service-command.js';

export default class DeviceStart extends ServiceCommand {
  static override summary = 'Start a service of a device.';
  static override description =
    'Starts the container that the service has, through the Supervisor or straight on the engine where there is none.';
  static override examples = ['<%= config.bin %> <%= command.id %> 63ec46c main'];
  static override args = {
    device: Args.string({ required: true, description: 'Name, address or UUID of the device.' }),
    service: Args.string({ required: true, description: 'Name of the service.' }),
  };
  static override flags = serviceFlags;

  async run(): Promise<ServiceResult> {
    const { args, flags } = await this.parse(DeviceStart);
    return this.control('start', args, flags);
  }
}
