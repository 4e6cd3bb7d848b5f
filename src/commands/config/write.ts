import { Args } from '@oclif/core';
import { configureConfigFile, type ConfiguredConfigFile } from '../../lib/boot-config/configure-config-file.js';
import { readPlainConfig } from '../../lib/boot-config/read-config-source.js';
import { configEditFlags, readConfigEdits } from '../../lib/cli/config-edit-flags.js';
import { ConfigureCommand, type ConfigureResult } from '../../lib/cli/configure-command.js';
import { imageSourceOptions } from '../../lib/cli/image-source-flags.js';
import { editTargetFlags, readEditTarget } from '../../lib/cli/configure-target-flags.js';
import { Failure } from '../../lib/failure/failure.js';
import { configuredFileLines } from '../../lib/output/config-text.js';

/** What `davit config write --json` prints of a file that is a config.json; of an image or a drive it is what `os configure` prints. */
interface ConfigFileResult extends ConfiguredConfigFile {
  readonly version: 1;
}

export default class ConfigWrite extends ConfigureCommand {
  static override summary = 'Change single values in the config.json of an image, a drive or a file.';

  static override description =
    'Takes pairs of a path and a value; davit config schema tells what each key takes. A path is os.sshKeys.0, os.sshKeys.+ for a new item, or ' +
    '/os/sshKeys/0. Text stays text where a key takes text; elsewhere true, 5 and {"a": 1} are JSON. Everything else in config.json stays to the ' +
    'letter, and nothing is written unless everything is good. The value of a secret comes from a file, standard input or a prompt.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> device.img hostname kiosk-7 developmentMode true',
    '<%= config.bin %> <%= command.id %> device.img os.sshKeys.+ "$(cat ~/.ssh/id_ed25519.pub)"',
    '<%= config.bin %> <%= command.id %> device.img --delete os.network.connectivity --dry-run',
    '<%= config.bin %> <%= command.id %> /dev/sdb deviceApiKey --value-file key.txt',
    '<%= config.bin %> <%= command.id %> device.img --from fleet.json',
  ];

  static override args = {
    target: Args.string({ required: true, description: 'Image file, drive or config.json file to change.' }),
    pairs: Args.string({
      multiple: true,
      description: 'Path of a key and its value, any number of times; the value - is standard input.',
    }),
  };

  static override flags = { ...configEditFlags, ...editTargetFlags };

  async run(): Promise<ConfigureResult | ConfigFileResult> {
    const { args, flags } = await this.parse(ConfigWrite);
    const context = { streams: this.streams, signal: this.signal };
    const request = await readConfigEdits(args.pairs ?? [], flags, context);
    if (request.edits?.length === 0 && request.config === undefined) throw nothingToWrite();
    const file = args.target;
    const { progress } = this;
    const bytes = await readPlainConfig(file, imageSourceOptions(flags, { ...context, progress }));
    if (bytes === undefined) return this.configure(file, request, readEditTarget(flags), flags);
    const target = readEditTarget(flags);
    const configured = await configureConfigFile({
      ...{ file, bytes, target, request, signal: this.signal },
      isDryRun: flags['dry-run'],
    });
    return this.tell(file, configured, configuredFileLines(configured, this.streams.stdoutHasColor), flags);
  }
}

function nothingToWrite(): Failure {
  return new Failure('usage', 'nothing-to-configure', 'nothing was said about what to write', {
    hint: 'Give a path and a value, such as hostname kiosk, or --delete or --from',
  });
}
