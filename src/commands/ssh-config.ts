import path from 'node:path';
import { Args } from '@oclif/core';
import { BaseCommand } from '../lib/cli/base-command.js';
import { metDevice } from '../lib/device/met-device.js';
import { findProgram } from '../lib/platform/child-process.js';
import { Inventory } from '../lib/discovery/inventory.js';
import { HostKeyStore, type PinnedDevice } from '../lib/ssh/host-key-store.js';
import { openSshEntry } from '../lib/ssh/open-ssh-entry.js';

/** What `davit ssh-config --json` prints. */
export interface SshConfigResult {
  readonly version: 1;
  /** The text for ~/.ssh/config. */
  readonly config: string;
}

export default class SshConfig extends BaseCommand {
  static override summary = 'Print entries by which plain ssh, rsync, VS Code and Ansible reach devices as davit does.';
  static override description =
    'The entries make OpenSSH find a device through davit, whatever its address is now, and accept only the host key that davit has pinned. ' +
    'Without a device, prints those of all devices that were met. Put them into a file that ~/.ssh/config includes.';
  static override examples = [
    '<%= config.bin %> ssh-config > ~/.ssh/davit.conf',
    '<%= config.bin %> ssh-config crane >> ~/.ssh/config',
  ];
  static override args = {
    device: Args.string({ multiple: true, description: 'Name, address or UUID of a device that was met before.' }),
  };

  async run(): Promise<SshConfigResult> {
    const { args } = await this.parse(SshConfig);
    const store = new HostKeyStore();
    const [devices, known, installed] = await Promise.all([
      store.devices(),
      new Inventory(this.progress).readIfPossible(),
      findProgram('davit'),
    ]);
    const aliasesOf = (uuid: string | undefined) => known.find((one) => one.uuid === uuid)?.aliases;
    const wanted = args.device?.map((word) => metDevice(word, devices, known));
    const program =
      installed === undefined ? [process.execPath, path.join(this.config.root, 'bin', 'run.js')] : ['davit'];
    const entries = (wanted ?? devices.filter((device) => !isOnTheWay(device))).flatMap(
      (device) =>
        openSshEntry({ device, aliases: aliasesOf(device.uuid) ?? [], hostKeyFile: store.file, program }) ?? [],
    );
    const config = entries.join('\n');
    if (config !== '') this.print(config.trimEnd());
    return { version: 1, config };
  }
}

/** Whether a host is not known to be a device and has the usual port of SSH, as those have that stand before devices. */
function isOnTheWay({ uuid, names }: PinnedDevice): boolean {
  return uuid === undefined && names.every((name) => name.endsWith(']:22'));
}
