import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../lib/cli/base-command.js';
import { buildImage, type BuiltImage, planBuild } from '../../lib/os/build-image.js';
import { formatBytes } from '../../lib/output/format.js';

export default class OsBuild extends BaseCommand {
  static override summary = 'Build a bootable image from a recipe of Debian packages.';

  static override description =
    'The recipe virtual-amd64 comes with davit: a virtual x86-64 device with the disk layout, boot configuration, ports and ' +
    'mDNS announcement of a balenaOS device, to develop and test with. It is not balenaOS and has no Supervisor.\n\n' +
    'A recipe is a folder; copy one, change it and build your own. Nothing is mounted, and root is not needed.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> virtual-amd64 --output device.img',
    '<%= config.bin %> <%= command.id %> ./my-recipe --output mine.img',
  ];

  static override args = {
    recipe: Args.string({ required: true, description: 'Name of a recipe that comes with davit, or a folder.' }),
  };

  static override flags = {
    output: Flags.string({ char: 'o', required: true, helpValue: '<file>', summary: 'Image file to write.' }),
    fresh: Flags.boolean({ summary: 'Install the packages anew instead of using what an earlier build kept.' }),
  };

  async run(): Promise<BuiltImage> {
    const { args, flags } = await this.parse(OsBuild);
    const plan = await planBuild(args.recipe, flags.output);
    const built = await buildImage(plan, { ignoreKept: flags.fresh, signal: this.signal, progress: this.progress });
    this.endProgress();
    this.print(`${flags.output}  ${formatBytes(built.size)}, ${formatBytes(built.allocated)} on disk`);
    this.print(`Next: davit os configure ${flags.output} --in-place --dev, then davit os run ${flags.output}`);
    return built;
  }
}
