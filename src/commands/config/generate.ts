import { Args, Flags } from '@oclif/core';
import { generateConfig } from '../../lib/boot-config/generated-config.js';
import { withoutSecrets } from '../../lib/boot-config/secrets.js';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { configEditFlags, readConfigEdits } from '../../lib/cli/config-edit-flags.js';
import { configSettingFlags, readConfigSettings } from '../../lib/cli/config-setting-flags.js';
import { printable } from '../../lib/output/format.js';
import { writeDraft } from '../../lib/platform/draft-file.js';
import type { JsonObject } from '../../lib/platform/json.js';

/** What `davit config generate --json` prints; secrets are hidden, those in the output are not. */
interface GeneratedResult {
  readonly version: 1;
  /** Null where nothing was written. */
  readonly output: string | null;
  readonly config: JsonObject;
  readonly warnings: readonly string[];
}

export default class ConfigGenerate extends BaseCommand {
  static override summary = 'Make a config.json without an image.';

  static override description =
    'For a device that no cloud manages, unless --from is a file that a cloud gave. Takes pairs of a path and a value as config write does. Prints ' +
    'it, or writes it to a file that only its owner can read; on a terminal, secrets are hidden.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> --device-type raspberrypi4-64 --dev --hostname kiosk --output config.json',
    '<%= config.bin %> <%= command.id %> --from fleet.json --ssh-key ~/.ssh/id_ed25519.pub --output config.json',
    '<%= config.bin %> <%= command.id %> --device-type jetson-orin-nano-devkit-nvme --dev --os-version 6.8.1 os.power.mode low',
  ];

  static override args = {
    pairs: Args.string({
      multiple: true,
      description: 'Path of a key and its value, any number of times; the value - is standard input.',
    }),
  };

  static override flags = {
    'device-type': Flags.string({ summary: 'Device type that it is for.', helpValue: '<slug>' }),
    'os-version': Flags.string({
      summary: 'Release of balenaOS that is to read it, to warn about what that does not know.',
      helpValue: '<version>',
    }),
    output: Flags.string({ char: 'o', summary: 'File to write. [default: standard output]', helpValue: '<file>' }),
    force: Flags.boolean({ summary: 'Replace an output file that exists.' }),
    'show-secrets': Flags.boolean({ summary: 'Show keys and passwords on a terminal too.' }),
    from: configEditFlags.from,
    'value-file': configEditFlags['value-file'],
    ...configSettingFlags,
  };

  async run(): Promise<GeneratedResult> {
    const { args, flags, raw } = await this.parse(ConfigGenerate);
    const context = { streams: this.streams, signal: this.signal };
    const edits = await readConfigEdits(args.pairs ?? [], { ...flags, delete: undefined }, context);
    const settings = await readConfigSettings({ flags: { ...flags, config: undefined }, raw }, context);
    const { 'device-type': deviceType, 'os-version': osVersion, output } = flags;
    const { config, text, warnings } = await generateConfig({ settings, edits, deviceType, osVersion });
    for (const warning of warnings) this.progress({ type: 'notice', level: 'warning', text: warning });
    const shown = withoutSecrets(config);
    const result = { version: 1, output: output ?? null, config: shown, warnings } as const;
    if (output !== undefined) {
      await writeDraft(output, text, { mayOverwrite: flags.force, mode: 0o600 });
      this.print(`Wrote ${printable(output)}`);
    } else if (this.streams.stdoutIsTerminal && !flags['show-secrets']) this.print(JSON.stringify(shown, null, 2));
    else this.print(text.trimEnd());
    return result;
  }
}
