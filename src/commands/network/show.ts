import { Args, Flags } from '@oclif/core';
import { readBootPartition } from '../../lib/boot-config/read-boot-partition.js';
import { showNetwork, type ShownNetwork } from '../../lib/boot-config/stored-networks.js';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { imageSourceFlags, imageSourceOptions } from '../../lib/cli/image-source-flags.js';
import { keyfileLines, networkProfileLines } from '../../lib/output/network-text.js';

/** What `davit network show --json` prints. */
interface NetworkShowResult extends ShownNetwork {
  readonly version: 1;
  readonly image: string;
}

export default class NetworkShow extends BaseCommand {
  static override summary = 'Show a network of an OS image or a drive as data.';

  static override description =
    'Prints a profile with this one network, which davit network add takes as it is: it asks for the secrets, which are not shown. ' +
    'Certificates go by the names of their files in the image. What a profile has no words for follows as comments.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> device.img office',
    '<%= config.bin %> <%= command.id %> device.img office --keyfile',
    '<%= config.bin %> <%= command.id %> device.img office > office.yaml',
  ];

  static override args = {
    image: Args.string({
      required: true,
      description: 'Image file or URL, packed or not, a drive, or - for standard input.',
    }),
    name: Args.string({ required: true, description: 'Name of the network; davit network list names them.' }),
  };

  static override flags = {
    ...imageSourceFlags,
    keyfile: Flags.boolean({ summary: 'Print the key files of NetworkManager instead, with the secrets hidden.' }),
  };

  async run(): Promise<NetworkShowResult> {
    const { args, flags } = await this.parse(NetworkShow);
    const { streams, signal, progress } = this;
    const { image, ...shown } = await readBootPartition(
      args.image,
      async ({ name, boot, os }) => ({ image: name, ...(await showNetwork(boot, os, args.name)) }),
      imageSourceOptions(flags, { streams, signal, progress }),
    );
    for (const text of shown.warnings) progress({ type: 'notice', level: 'warning', text });
    for (const line of flags.keyfile ? keyfileLines(shown) : await networkProfileLines(shown)) this.print(line);
    return { version: 1, image, ...shown };
  }
}
