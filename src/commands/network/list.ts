import { Args } from '@oclif/core';
import { readBootPartition } from '../../lib/boot-config/read-boot-partition.js';
import { type ListedNetwork, listNetworks } from '../../lib/boot-config/stored-networks.js';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { imageSourceFlags, imageSourceOptions } from '../../lib/cli/image-source-flags.js';
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

  static override args = {
    image: Args.string({
      required: true,
      description: 'Image file or URL, packed or not, a drive, or - for standard input.',
    }),
  };

  static override flags = imageSourceFlags;

  async run(): Promise<NetworkListResult> {
    const { args, flags } = await this.parse(NetworkList);
    const { streams, signal, progress } = this;
    const { name, networks, warnings } = await readBootPartition(
      args.image,
      async ({ boot, os, ...open }) => ({ ...open, networks: await listNetworks(boot, os) }),
      imageSourceOptions(flags, { streams, signal, progress }),
    );
    const all = [...warnings, ...networks.flatMap((network) => network.warnings)];
    for (const text of all) progress({ type: 'notice', level: 'warning', text });
    for (const line of networkListLines(networks)) this.print(line);
    return { version: 1, image: name, networks, warnings };
  }
}
