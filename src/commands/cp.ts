import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../lib/cli/base-command.js';
import { deviceOptionsFrom, engineFlags } from '../lib/cli/engine-flags.js';
import { sshFlags } from '../lib/cli/ssh-flags.js';
import { copyBetween } from '../lib/device/copy-between.js';
import type { Copied } from '../lib/device/copy.js';
import { parseCopyPlace } from '../lib/device/copy-place.js';
import { openDevice } from '../lib/device/device.js';
import { formatBytes } from '../lib/output/format.js';

/** What `davit cp --json` prints. */
export interface CpResult extends Copied {
  readonly version: 1;
}

export default class Cp extends BaseCommand {
  static override summary = 'Copy files and folders to and from a device or one of its services.';
  static override description =
    'One of the two is <device>:<path> or <device>:<service>:<path>, the other a path here. Paths on the host begin in the home ' +
    'folder of the user, those in a service have to be absolute.\n\n' +
    'Folders are copied with all that is in them. If the target is a folder that exists, the copy goes into it under the name ' +
    'that the source has; otherwise it gets the name of the target. Modes and times are kept, symbolic links inside folders stay ' +
    'links, holes stay holes (not in services), and the owner is who writes.\n\n' +
    'A file gets its name when it is complete, and a new folder when all of it is there: what is interrupted leaves what was ' +
    'there before. When the link is lost the copy goes on where it was as soon as the device is back (not in services).';
  static override examples = [
    '<%= config.bin %> cp firmware.bin 63ec46c:/mnt/data/',
    '<%= config.bin %> cp 63ec46c:/var/log/messages .',
    '<%= config.bin %> cp ./site 63ec46c:main:/usr/share/nginx/html',
    '<%= config.bin %> cp crane:main:/data/app.db backup.db',
  ];
  static override args = {
    source: Args.string({ required: true, description: 'What to copy.' }),
    target: Args.string({ required: true, description: 'Where to.' }),
  };
  static override flags = {
    ...sshFlags,
    'engine-port': engineFlags['engine-port'],
    timeout: Flags.integer({
      default: 120,
      min: 0,
      helpValue: '<seconds>',
      summary: 'How long a device may be away when the link to it is lost in the middle.',
    }),
  };

  async run(): Promise<CpResult> {
    const { args, flags } = await this.parse(Cp);
    const { signal, progress, streams } = this;
    const options = deviceOptionsFrom(flags, { signal, progress, streams });
    const open = (device: string) => openDevice(device, options);
    const [source, target] = [parseCopyPlace(args.source), parseCopyPlace(args.target)];
    const copied = await copyBetween(source, target, { open, patience: flags.timeout, signal, progress });
    const amount = `${copied.files} ${copied.files === 1 ? 'file' : 'files'}, ${formatBytes(copied.bytes)}`;
    this.print(`${copied.path}: ${amount}`);
    return { version: 1, ...copied };
  }
}
