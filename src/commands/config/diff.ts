import { Args, Flags } from '@oclif/core';
import { type ConfigDifference, configDifferences } from '../../lib/boot-config/config-differences.js';
import { readConfigSource } from '../../lib/boot-config/read-config-source.js';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { imageSourceFlags, imageSourceOptions } from '../../lib/cli/image-source-flags.js';
import { Failure } from '../../lib/failure/failure.js';
import { configDifferenceLines } from '../../lib/output/config-text.js';

/** What `davit config diff --json` prints. */
interface ConfigDiffResult {
  readonly version: 1;
  readonly before: string;
  readonly after: string;
  readonly differences: readonly ConfigDifference[];
}

export default class ConfigDiff extends BaseCommand {
  static override summary = 'Show what differs between two config.json: of images, drives or files.';

  static override description =
    'Compares values, not text: order and layout do not count. Of secrets it is only said that they differ. Ends with exit code 0, or with 4 if ' +
    'anything differs and --check is given.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> device.img device.configured.img',
    '<%= config.bin %> <%= command.id %> fleet.json /dev/sdb --check',
  ];

  static override args = {
    before: Args.string({
      required: true,
      description: 'Image or its URL, packed or not, a drive, or a config.json file; - is standard input.',
    }),
    after: Args.string({ required: true, description: 'The other one.' }),
  };

  static override flags = {
    ...imageSourceFlags,
    check: Flags.boolean({ summary: 'End with exit code 4 if anything differs.' }),
  };

  async run(): Promise<ConfigDiffResult> {
    const { args, flags } = await this.parse(ConfigDiff);
    const { streams, signal, progress } = this;
    const options = imageSourceOptions(flags, { streams, signal, progress });
    if (args.before === '-' && args.after === '-') throw inputTwice();
    const before = await readConfigSource(args.before, options);
    const after = await readConfigSource(args.after, options);
    const differences = configDifferences(before, after);
    const result = { version: 1, before: before.name, after: after.name, differences } as const;
    for (const line of configDifferenceLines(differences, streams.stdoutHasColor)) this.print(line);
    if (differences.length === 0) this.print('They say the same.');
    else if (flags.check) throw differ(result);
    return result;
  }
}

function inputTwice(): Failure {
  return new Failure('usage', 'standard-input-twice', 'only one of the two can come from standard input', {
    hint: 'Give the other one as a file',
  });
}

function differ(result: ConfigDiffResult): Failure {
  return new Failure('refused', 'configs-differ', `${result.before} and ${result.after} differ`, {
    hint: 'Run the command without --check to end with exit code 0',
    report: result,
  });
}
