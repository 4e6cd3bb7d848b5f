import { Args } from '@oclif/core';
import { BaseCommand } from '../lib/cli/base-command.js';
import { deviceOptionsFrom, engineFlags } from '../lib/cli/engine-flags.js';
import { sshFlags } from '../lib/cli/ssh-flags.js';
import { openDevice } from '../lib/device/device.js';
import { type OpenTunnel, tunnels } from '../lib/device/tunnel.js';
import { parseTunnel } from '../lib/device/tunnel-target.js';

export default class Tunnel extends BaseCommand {
  static override summary = 'Make ports and sockets of a device or its services reachable here.';
  static override description =
    'A tunnel is [<address>:]<local port>:<target>. The target is a port of the device (8080:80), of a service (8080:main:80), of ' +
    'another address that the device reaches (8080:192.168.7.2:80), or the path of a socket (0:/var/run/balena-engine.sock). The ' +
    'local port 0 stands for any that is free, and is printed; without a local port it is the same as that of the target.\n\n' +
    'All tunnels share one SSH connection. When it is lost it is made again for as long as it takes. Ctrl-C ends them (exit code ' +
    '130).\n\n' +
    'With --json, each tunnel is a line of JSON as soon as it is open.';
  static override examples = [
    '<%= config.bin %> tunnel 63ec46c 8080:80',
    '<%= config.bin %> tunnel crane 5432:db:5432 0:main:9229',
    '<%= config.bin %> tunnel 63ec46c 2375:/var/run/balena-engine.sock',
  ];
  static override args = {
    device: Args.string({ required: true, description: 'Name, address or UUID of the device.' }),
    tunnel: Args.string({ required: true, multiple: true, description: 'Where it begins here, and where it leads.' }),
  };
  static override flags = { ...sshFlags, 'engine-port': engineFlags['engine-port'] };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Tunnel);
    const { signal, progress, streams } = this;
    const plans = args.tunnel.map(parseTunnel);
    const options = deviceOptionsFrom(flags, { signal, progress, streams });
    const open = () => openDevice(args.device, options);
    await this.showUntilLeft(tunnels(plans, { open, signal, progress }), (tunnel) => {
      this.streams.stdout.write(`${this.jsonEnabled() ? JSON.stringify({ version: 1, ...tunnel }) : textOf(tunnel)}\n`);
    });
  }

  /** Everything has been said when the tunnels end. */
  protected override logJson(): void {
    this.endProgress();
  }
}

function textOf({ address, port, target }: OpenTunnel): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port} -> ${target}`;
}
