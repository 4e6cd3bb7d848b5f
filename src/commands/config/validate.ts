import { Args, Flags } from '@oclif/core';
import { checkConfigSource } from '../../lib/boot-config/checked-config.js';
import { invalidConfig } from '../../lib/boot-config/config-file.js';
import { readConfigSource } from '../../lib/boot-config/read-config-source.js';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { imageSourceFlags, imageSourceOptions } from '../../lib/cli/image-source-flags.js';
import { printable } from '../../lib/output/format.js';

/** What `davit config validate --json` prints of a good configuration; the error document of a bad one has `problems`. */
interface ValidatedConfig {
  readonly version: 1;
  readonly source: string;
  readonly warnings: readonly string[];
}

export default class ConfigValidate extends BaseCommand {
  static override summary = 'Check the config.json of an image, a drive or a file.';

  static override description =
    'Tells all mistakes at once, each with line, column and JSON pointer: what is no JSON, wrong types and ranges, keys that are there twice, ' +
    'and combinations that lock everybody out. Keys that nothing reads, or that the OS is too old for, are warned about.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> device.img',
    '<%= config.bin %> <%= command.id %> fleet.json --os-version 6.8.1 --device-type raspberrypi4-64',
    '<%= config.bin %> <%= command.id %> /dev/sdb --json',
  ];

  static override args = {
    source: Args.string({
      required: true,
      description: 'Image or its URL, packed or not, a drive, or a config.json file to check; - is standard input.',
    }),
  };

  static override flags = {
    ...imageSourceFlags,
    'os-version': Flags.string({ summary: 'Release of balenaOS that is to read it.', helpValue: '<version>' }),
    'device-type': Flags.string({ summary: 'Device type that it must be for.', helpValue: '<slug>' }),
  };

  async run(): Promise<ValidatedConfig> {
    const { args, flags } = await this.parse(ConfigValidate);
    const { streams, signal, progress } = this;
    const source = await readConfigSource(args.source, imageSourceOptions(flags, { streams, signal, progress }));
    const { name, problems, warnings } = checkConfigSource(source, {
      osVersion: flags['os-version'],
      deviceType: flags['device-type'],
    });
    for (const text of warnings) progress({ type: 'notice', level: 'warning', text });
    if (problems.length > 0) throw invalidConfig(problems, 'Correct these places', { source: name, warnings });
    this.print(`${printable(name)} is good`);
    return { version: 1, source: name, warnings };
  }
}
