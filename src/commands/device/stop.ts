import { Args } from '@oclif/core';
import { ServiceCommand, serviceFlags, type ServiceResult } from '../../lib/cli/service-command.js';

export default class DeviceStop extends ServiceCommand {
  static override summary = 'Stop a service of a device.';
  static override description =
    'It stays as it is until it is started again, pushed anew, or the device restarts. Goes through the Supervisor, which heeds ' +
    'update locks, or straight to the engine where there is none.';
  static override examples = ['<%= config.bin %> <%= command.id %> 63ec46c main'];
  static override args = {
    device: Args.string({ required: true, description: 'Name, address or UUID of the device.' }),
    service: Args.string({ required: true, description: 'Name of the service.' }),
  };
  static override flags = serviceFlags;

  async run(): Promise<ServiceResult> {
    const { args, flags } = await this.parse(DeviceStop);
    return this.control('stop', args, flags);
  }
}
