import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { entryFlag } from '../../lib/cli/configure-target-flags.js';
import { type ImageMap, mapImage } from '../../lib/flash/map-image.js';
import { openImageSource } from '../../lib/image/source.js';
import { imageMapLines } from '../../lib/output/image-map-text.js';

/** What `davit image map --json` prints. */
export interface ImageMapResult extends ImageMap {
  readonly version: 1;
  /** The bmap that was written. */
  readonly bmap: string | null;
}

export default class ImageMapCommand extends BaseCommand {
  static override summary =
    'Show which parts of an image matter, and why; write them down as a block map for bmaptool.';

  static override description =
    'These are the parts that "davit flash" writes: everything but what the file systems call free. Where that ' +
    'cannot be told, all of a partition matters. Packed images are unpacked on the way. A block map made here is ' +
    'safe on cards that were used before: it maps every block that is allocated, also those that hold only zeros.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> balena.img.gz',
    '<%= config.bin %> <%= command.id %> balena.img --output balena.bmap',
    '<%= config.bin %> <%= command.id %> /dev/sdb --json',
  ];

  static override args = {
    image: Args.string({ required: true, description: 'Image file, packed or not, a drive, or - for standard input.' }),
  };

  static override flags = {
    output: Flags.string({
      char: 'o',
      helpValue: '<file>',
      summary: 'Write a block map of version 2.0 for bmaptool, with checksums.',
    }),
    force: Flags.boolean({ dependsOn: ['output'], summary: 'Replace the output file if it exists.' }),
    ...entryFlag,
  };

  async run(): Promise<ImageMapResult> {
    const { args, flags } = await this.parse(ImageMapCommand);
    const { signal, progress } = this;
    const source = await openImageSource(args.image, {
      entry: flags.entry,
      standardInput: this.streams.stdin,
      signal,
      progress,
    });
    try {
      const bmap = flags.output === undefined ? undefined : { path: flags.output, mayOverwrite: flags.force };
      const map = await mapImage(source, { bmap, signal, progress });
      for (const line of imageMapLines(map)) this.print(line);
      return { version: 1, ...map, bmap: flags.output ?? null };
    } finally {
      await source.close();
    }
  }
}
