import { Args } from '@oclif/core';
import { inspectImage, type InspectedImage } from '../../lib/boot-config/inspect-image.js';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { inspectionLines } from '../../lib/output/inspection-text.js';

/** What `davit os inspect --json` prints. */
export interface InspectResult extends InspectedImage {
  readonly version: 1;
}

export default class OsInspect extends BaseCommand {
  static override summary = 'Show what an OS image or drive holds: layout, device type, OS version, configuration.';

  static override description = 'Reads only. Keys, passwords and other secrets are hidden.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> device.img',
    '<%= config.bin %> <%= command.id %> /dev/sdb',
    '<%= config.bin %> <%= command.id %> device.img --json',
  ];

  static override args = { image: Args.string({ required: true, description: 'Image file or drive to look into.' }) };

  async run(): Promise<InspectResult> {
    const { args } = await this.parse(OsInspect);
    const inspection = await inspectImage(args.image);
    for (const text of inspection.warnings) this.progress({ type: 'notice', level: 'warning', text });
    for (const line of inspectionLines(inspection)) this.print(line);
    return { version: 1, ...inspection };
  }
}
