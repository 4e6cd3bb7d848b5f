import { Args } from '@oclif/core';
import { type ConfiguredImage, configureImage } from '../../lib/boot-config/configure-image.js';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { editTargetFlags, readEditTarget } from '../../lib/cli/configure-target-flags.js';
import { bootConfigurationLines } from '../../lib/output/boot-configuration-text.js';

/** What `davit network remove --json` prints. */
interface NetworkRemoveResult extends ConfiguredImage {
  readonly version: 1;
}

export default class NetworkRemove extends BaseCommand {
  static override summary = 'Take networks out of an OS image.';

  static override description =
    'Removes each network with its ports and with the certificates that no other network uses, in the image itself unless --output is ' +
    'given. A device that has started from it keeps the copies that it made.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> device.img office',
    '<%= config.bin %> <%= command.id %> device.img office phone --dry-run',
  ];

  static override args = {
    image: Args.string({ required: true, description: 'Image file to change.' }),
    name: Args.string({ required: true, description: 'Networks to take out; davit network list names them.' }),
  };

  static override strict = false;

  static override flags = editTargetFlags;

  async run(): Promise<NetworkRemoveResult> {
    const { args, argv, flags } = await this.parse(NetworkRemove);
    const result = await configureImage({
      image: args.image,
      target: readEditTarget(flags),
      request: { removedConnections: argv.slice(1).map(String) },
      isDryRun: flags['dry-run'],
      signal: this.signal,
      progress: this.progress,
    });
    for (const text of result.warnings) this.progress({ type: 'notice', level: 'warning', text });
    for (const line of bootConfigurationLines(result)) this.print(line);
    this.print(`${result.isWritten ? 'Wrote' : 'Would write'} ${result.output}`);
    return { version: 1, ...result };
  }
}
