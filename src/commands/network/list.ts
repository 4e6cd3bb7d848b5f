import { Args } from '@oclif/core';
import { readBootPartition } from '../../lib/boot-config/read-boot-partition.js';
import { type ListedNetwork, listNetworks } from '../../lib/boot-config/stored-networks.js';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { partitionFlag } from '../../lib/cli/configure-target-flags.js';
import { networkListLines } from '../../lib/output/network-text.js';

/** What `davit network list --json` prints. */
interface NetworkListResult {
  readonly version: 1;
  readonly image: string;
  readonly networks: readonly ListedNetwork[];
  readonly warnings: readonly string[];
}

export default class NetworkList extends BaseCommand {
  static override summary = 'List the networks in an OS image or on a drive.';

  static override description =
    'Reads only. A network that NetworkManager would pass over is named with the reason. Without any, a device uses Ethernet with DHCP.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> device.img',
    '<%= config.bin %> <%= command.id %> /dev/sdb --json',
  ];

  static override args = { image: Args.string({ required: true, description: 'Image file or drive to look into.' }) };

  static override flags = partitionFlag;

  async run(): Promise<NetworkListResult> {
    const { args, flags } = await this.parse(NetworkList);
    const { networks, warnings } = await readBootPartition(
      args.image,
      async ({ boot, os, warnings }) => ({ networks: await listNetworks(boot, os), warnings }),
      flags,
    );
    const all = [...warnings, ...networks.flatMap((network) => network.warnings)];
    for (const text of all) this.progress({ type: 'notice', level: 'warning', text });
    for (const line of networkListLines(networks)) this.print(line);
    return { version: 1, image: args.image, networks, warnings };
  }
}
