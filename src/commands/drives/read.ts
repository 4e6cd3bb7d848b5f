import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { findDrive } from '../../lib/drives/find-drive.js';
import { planReadDrive } from '../../lib/flash/plan-read-drive.js';
import { readDrive, type ReadDriveResult } from '../../lib/flash/read-drive.js';
import { readDriveLine } from '../../lib/output/read-drive-text.js';

/** What `davit drives read --json` prints. */
export interface DrivesReadResult extends ReadDriveResult {
  readonly version: 1;
}

export default class DrivesRead extends BaseCommand {
  static override summary = 'Read a card into an image file, so that it can be flashed to others.';

  static override description =
    'Only what the file systems on it use is read; the rest of the image file is holes. The image ends behind the ' +
    'last partition, so that it fits on any card on which the partitions fit; the copy of a GPT is moved there. ' +
    'The file gets its name only when it is complete. A drive that is in use can be read, but its file systems ' +
    'may then be inconsistent. Nothing is written to the drive.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> /dev/sdb card.img',
    '<%= config.bin %> <%= command.id %> /dev/sdb whole-card.img --all --checksum',
  ];

  static override args = {
    drive: Args.string({
      required: true,
      description: 'Drive to read, as listed by "drives", or a file that stands for one.',
    }),
    image: Args.string({ required: true, description: 'Image file to write.' }),
  };

  static override flags = {
    all: Flags.boolean({ summary: 'Read every byte of the drive up to its end, whether or not it matters.' }),
    checksum: Flags.boolean({ summary: 'Compute the SHA-256 of the image, holes included.' }),
    force: Flags.boolean({ summary: 'Replace the image file if it exists.' }),
  };

  async run(): Promise<DrivesReadResult> {
    const { args, flags } = await this.parse(DrivesRead);
    const { signal, progress } = this;
    const plan = await planReadDrive({
      drive: await findDrive(args.drive),
      image: args.image,
      mayOverwrite: flags.force,
      everything: flags.all,
      signal,
    });
    for (const text of plan.warnings) progress({ type: 'notice', level: 'warning', text });
    const result = await readDrive(plan, { checksum: flags.checksum, signal, progress });
    this.print(readDriveLine(result));
    return { version: 1, ...result };
  }
}
