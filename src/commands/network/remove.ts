import { Args } from '@oclif/core';
import { ConfigureCommand, type ConfigureResult } from '../../lib/cli/configure-command.js';
import { editTargetFlags, readEditTarget } from '../../lib/cli/configure-target-flags.js';

export default class NetworkRemove extends ConfigureCommand {
  static override summary = 'Take networks out of an OS image.';

  static override description =
    'Removes each network with its ports and with the certificates that no other network uses, in the image itself unless --output is ' +
    'given. A device that has started from it keeps the copies that it made.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> device.img office',
    '<%= config.bin %> <%= command.id %> device.img office phone --dry-run',
  ];

  static override args = {
    image: Args.string({ required: true, description: 'Image file, or drive, to change.' }),
    name: Args.string({
      required: true,
      multiple: true,
      description: 'Networks to take out; davit network list names them.',
    }),
  };

  static override flags = editTargetFlags;

  async run(): Promise<ConfigureResult> {
    const { args, flags } = await this.parse(NetworkRemove);
    return this.configure(args.image, { removedConnections: args.name }, readEditTarget(flags), flags);
  }
}
