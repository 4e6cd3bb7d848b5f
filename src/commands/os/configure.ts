import { Args } from '@oclif/core';
import { type ConfiguredImage, configureImage } from '../../lib/boot-config/configure-image.js';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { bootConfigurationFlags, readBootConfigurationRequest } from '../../lib/cli/boot-configuration-flags.js';
import { configureTargetFlags, readConfigureTarget } from '../../lib/cli/configure-target-flags.js';
import { bootConfigurationLines, osText } from '../../lib/output/boot-configuration-text.js';

/** What `davit os configure --json` prints. */
export interface ConfigureResult extends ConfiguredImage {
  readonly version: 1;
}

export default class OsConfigure extends BaseCommand {
  static override summary = 'Put configuration and networks into an OS image.';

  static override description =
    'Writes a configured copy beside the image, or the image itself with --in-place; either way it appears whole or not ' +
    'at all. Needs no root, no mount and no login. What is not asked for stays as it is, and the same image and flags give the same bytes.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> device.img --dev --hostname kiosk',
    '<%= config.bin %> <%= command.id %> device.img --ssh-key ~/.ssh/id_ed25519.pub --wifi-ssid Office --wifi-key-file office.key',
    '<%= config.bin %> <%= command.id %> device.img --config fleet.json --network ethernet.nmconnection --output unit-7.img',
    '<%= config.bin %> <%= command.id %> device.img --profile kiosk.yaml --hostname kiosk-7',
    '<%= config.bin %> <%= command.id %> device.img --dev --dry-run',
  ];

  static override args = { image: Args.string({ required: true, description: 'Image file to configure.' }) };

  static override flags = {
    ...bootConfigurationFlags,
    ...configureTargetFlags,
  };

  async run(): Promise<ConfigureResult> {
    const { args, flags } = await this.parse(OsConfigure);
    const request = await readBootConfigurationRequest(flags, { streams: this.streams, signal: this.signal });
    const result = await configureImage({
      image: args.image,
      target: readConfigureTarget(flags),
      request,
      isDryRun: flags['dry-run'],
      signal: this.signal,
      progress: this.progress,
    });
    for (const text of result.warnings) this.progress({ type: 'notice', level: 'warning', text });
    for (const line of bootConfigurationLines(result)) this.print(line);
    if (result.isWritten) this.print(`Wrote ${result.output}: ${osText(result)}`);
    else this.print(flags['dry-run'] ? `Would write ${result.output}: ${osText(result)}` : 'Nothing to change.');
    return { version: 1, ...result };
  }
}
