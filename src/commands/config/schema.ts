import { Args, Flags } from '@oclif/core';
import { allConfigKeyFacts, configKeyFacts, type ConfigKeyFacts } from '../../lib/boot-config/config-key-facts.js';
import { configSchemaDocument } from '../../lib/boot-config/config-schema.js';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { configKeyLines, configKeyTable } from '../../lib/output/config-key-text.js';
import type { JsonObject } from '../../lib/platform/json.js';

/** What `davit config schema --json` prints: the JSON Schema, or what is known of keys. */
type ConfigSchemaResult =
  | { readonly version: 1; readonly schema: JsonObject }
  | { readonly version: 1; readonly keys: readonly ConfigKeyFacts[] };

export default class ConfigSchema extends BaseCommand {
  static override summary = 'Print the JSON Schema of config.json, or what is known of one key.';

  static override description =
    'For a key: its type and range, the first OS release that reads it, whether it is secret, what holds without it, and what a change does to a ' +
    'device that runs. Needs no image.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> > config.schema.json',
    '<%= config.bin %> <%= command.id %> os.sshKeys',
    '<%= config.bin %> <%= command.id %> --keys',
  ];

  static override args = {
    key: Args.string({ description: 'Key, such as hostname, or a group of them, such as os.network.' }),
  };

  static override flags = {
    keys: Flags.boolean({ summary: 'List all known keys.' }),
  };

  async run(): Promise<ConfigSchemaResult> {
    const { args, flags } = await this.parse(ConfigSchema);
    if (args.key === undefined && !flags.keys) {
      const schema = configSchemaDocument();
      this.print(JSON.stringify(schema, null, 2));
      return { version: 1, schema };
    }
    const keys = args.key === undefined ? allConfigKeyFacts() : configKeyFacts(args.key);
    const [first] = keys;
    const lines = first !== undefined && keys.length === 1 ? configKeyLines(first) : configKeyTable(keys);
    for (const line of lines) this.print(line);
    return { version: 1, keys };
  }
}
