import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { aliasDevice, removeAlias } from '../../lib/discovery/change-known-device.js';
import { Inventory } from '../../lib/discovery/inventory.js';
import type { KnownDevice } from '../../lib/discovery/known-device.js';

/** What `davit device alias --json` prints. */
export interface DeviceAliasResult {
  readonly version: 1;
  readonly device: KnownDevice;
}

export default class DeviceAlias extends BaseCommand {
  static override summary = 'Give a known device a name of your own, or take it back.';
  static override description =
    'The name works wherever a device is asked for. It belongs to the device, not to its host name or address, and exists on ' +
    'this computer only.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> 63ec46c bench-3',
    '<%= config.bin %> <%= command.id %> bench-3 bench-3 --remove',
  ];
  static override args = {
    device: Args.string({ required: true, description: 'UUID or its beginning, alias, host name or last address.' }),
    alias: Args.string({ required: true, description: 'The name.' }),
  };
  static override flags = { remove: Flags.boolean({ summary: 'Take the name from the device.' }) };

  async run(): Promise<DeviceAliasResult> {
    const { args, flags } = await this.parse(DeviceAlias);
    const inventory = new Inventory(this.progress);
    const device = await (flags.remove ? removeAlias : aliasDevice)(inventory, args.device, args.alias);
    const who = device.uuid ?? device.hostname ?? device.addresses[0] ?? args.device;
    this.print(flags.remove ? `${who} is no longer ${args.alias}` : `${args.alias} is ${who}`);
    return { version: 1, device };
  }
}
