import { Args, Flags } from '@oclif/core';
import { ConfigureCommand, type ConfigureResult } from '../../lib/cli/configure-command.js';
import { editTargetFlags, readEditTarget } from '../../lib/cli/configure-target-flags.js';
import { networkFlags } from '../../lib/cli/network-flags.js';
import { networkFromFile } from '../../lib/cli/network-from-file.js';
import { networkFromFlags } from '../../lib/cli/network-from-flags.js';

export default class NetworkAdd extends ConfigureCommand {
  static override summary = 'Put a network into an OS image.';

  static override description =
    'Changes the image itself unless --output is given. The name is also that of the file in system-connections; resin-wifi is the one ' +
    "that balena's dashboard and --wifi-ssid of os configure use. Ethernet with DHCP needs no network. Secrets come from files, standard " +
    'input, the environment or questions.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> device.img office --wifi-ssid Office --key-file office.key',
    '<%= config.bin %> <%= command.id %> device.img wired --address 192.168.1.5/24 --gateway 192.168.1.1 --dns 192.168.1.1',
    '<%= config.bin %> <%= command.id %> device.img modem --apn internet.example --no-roaming --metric 700',
    '<%= config.bin %> <%= command.id %> device.img eduroam --wifi-ssid eduroam --identity me@example.org --ca-certificate ca.pem',
    '<%= config.bin %> <%= command.id %> device.img tunnel --from tunnel.yaml --force',
  ];

  static override args = {
    image: Args.string({ required: true, description: 'Image file, or drive, to change.' }),
    name: Args.string({ required: true, description: 'What the network is to be called.' }),
  };

  static override flags = {
    from: Flags.string({
      summary:
        'File with the network: a NetworkManager key file, or YAML as a profile has it and network show prints it.',
      helpValue: '<file>',
      exclusive: Object.keys(networkFlags),
    }),
    ...networkFlags,
    ...editTargetFlags,
    force: Flags.boolean({ summary: 'Replace a network of this name, and an output file that exists.' }),
  };

  async run(): Promise<ConfigureResult> {
    const { args, flags } = await this.parse(NetworkAdd);
    const context = { streams: this.streams, signal: this.signal };
    const network =
      flags.from === undefined
        ? await networkFromFlags(args.name, flags, context)
        : await networkFromFile(args.name, flags.from, context);
    const request = { onlyNewConnections: !flags.force, under: network };
    return this.configure(args.image, request, readEditTarget(flags), flags);
  }
}
