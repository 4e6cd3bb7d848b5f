import { Args, Flags } from '@oclif/core';
import { hasQuestions, layersOf, withStandIns } from '../../lib/boot-config/boot-configuration-request.js';
import { type ConfigOrigin, shownOrigins } from '../../lib/boot-config/config-origins.js';
import { readConfigSource } from '../../lib/boot-config/read-config-source.js';
import { readableConfig, shownConfig } from '../../lib/boot-config/shown-config.js';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { imageSourceFlags, imageSourceOptions } from '../../lib/cli/image-source-flags.js';
import { bootConfigurationFlags } from '../../lib/cli/boot-configuration-flags.js';
import { configSettingFlags, readConfigSettings, requireWith } from '../../lib/cli/config-setting-flags.js';
import { configOriginLines } from '../../lib/output/config-text.js';
import { printableLines } from '../../lib/output/format.js';
import type { Json } from '../../lib/platform/json.js';

/** What `davit config read --json` prints: everything, one value, or values and where they come from. */
interface ConfigReadResult {
  readonly version: 1;
  readonly source: string;
  readonly config?: Json;
  readonly key?: string;
  readonly value?: Json;
  readonly origins?: readonly ConfigOrigin[];
}

export default class ConfigRead extends BaseCommand {
  static override summary = 'Show the config.json of an image, a drive or a file, or one value of it.';

  static override description =
    'A single text is printed as it is, anything else as JSON. Keys, passwords and other secrets are hidden unless --show-secrets is given. With ' +
    '--origin it shows for each value where it comes from: the image, a profile, the environment, a flag, or the OS where nobody set it; the ' +
    'profile, the environment and the other flags are looked at then, as os configure would.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> device.img',
    '<%= config.bin %> <%= command.id %> device.img.xz os.sshKeys.0',
    '<%= config.bin %> <%= command.id %> device.img --origin --profile kiosk.yaml',
  ];

  static override args = {
    source: Args.string({
      required: true,
      description: 'Image or its URL, packed or not, a drive, or a config.json file to read; - is standard input.',
    }),
    key: Args.string({ description: 'Path of one value, such as hostname or os.sshKeys.0.' }),
  };

  static override flags = {
    ...imageSourceFlags,
    origin: Flags.boolean({ summary: 'Show where each value comes from.' }),
    'show-secrets': Flags.boolean({ summary: 'Show keys and passwords too.' }),
    ...configSettingFlags,
    config: bootConfigurationFlags.config,
  };

  async run(): Promise<ConfigReadResult> {
    const parsed = await this.parse(ConfigRead);
    const { streams, signal, progress } = this;
    const { args, flags } = parsed;
    requireWith('origin', parsed);
    const showsSecrets = flags['show-secrets'];
    const source = await readConfigSource(args.source, imageSourceOptions(flags, { streams, signal, progress }));
    for (const text of source.warnings) progress({ type: 'notice', level: 'warning', text });
    const result = { version: 1, source: source.name } as const;
    if (flags.origin) {
      const request = await readConfigSettings(parsed, { streams, signal, isOnlyToLook: true });
      if (hasQuestions(request)) progress({ type: 'notice', level: 'warning', text: openNotice });
      const origins = shownOrigins(readableConfig(source).config, layersOf(withStandIns(request)), {
        key: args.key,
        showsSecrets,
      });
      for (const line of configOriginLines(origins)) this.print(line);
      return { ...result, origins };
    }
    const { value, text, isHidden } = shownConfig(source, { key: args.key, showsSecrets });
    this.print(streams.stdoutIsTerminal ? printableLines(text) : text);
    if (isHidden && args.key !== undefined) progress({ type: 'notice', level: 'info', text: hiddenNotice });
    return args.key === undefined ? { ...result, config: value } : { ...result, key: args.key, value };
  }
}

const openNotice = 'what the profile asks for is not shown';
const hiddenNotice = 'It is a secret; --show-secrets shows it';
