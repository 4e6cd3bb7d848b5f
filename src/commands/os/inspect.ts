import { Args } from '@oclif/core';
import { type InspectedImage, inspectSource } from '../../lib/boot-config/inspect-image.js';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { imageSourceFlags, imageSourceOptions } from '../../lib/cli/image-source-flags.js';
import { openImageSource } from '../../lib/image/source.js';
import { inspectionLines } from '../../lib/output/inspection-text.js';

/** What `davit os inspect --json` prints. */
export interface InspectResult extends InspectedImage {
  readonly version: 1;
}

export default class OsInspect extends BaseCommand {
  static override summary = 'Show what an OS image or drive holds: layout, device type, OS version, configuration.';

  static override description =
    'Reads only. Keys, passwords and other secrets are hidden. Of a packed image, also one at a URL, only what lies up to its boot partition is read.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> device.img',
    '<%= config.bin %> <%= command.id %> device.img.xz',
    '<%= config.bin %> <%= command.id %> /dev/sdb',
    '<%= config.bin %> <%= command.id %> device.img --json',
  ];

  static override args = {
    image: Args.string({
      required: true,
      description: 'Image file or URL, packed or not, a drive, or - for standard input.',
    }),
  };

  static override flags = imageSourceFlags;

  async run(): Promise<InspectResult> {
    const { args, flags } = await this.parse(OsInspect);
    const { streams, signal, progress } = this;
    const source = await openImageSource(args.image, imageSourceOptions(flags, { streams, signal, progress }));
    try {
      const inspection = await inspectSource(source, flags);
      for (const text of inspection.warnings) progress({ type: 'notice', level: 'warning', text });
      for (const line of inspectionLines(inspection)) this.print(line);
      return { version: 1, ...inspection };
    } finally {
      await source.close();
    }
  }
}
