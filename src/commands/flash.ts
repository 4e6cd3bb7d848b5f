import { Args, Flags } from '@oclif/core';
import type { BootConfigurationSummary } from '../lib/boot-config/boot-configuration-plan.js';
import { answered, hasQuestions, withStandIns } from '../lib/boot-config/boot-configuration-request.js';
import { type CardContent, planCardContent } from '../lib/boot-config/plan-card-content.js';
import { BaseCommand } from '../lib/cli/base-command.js';
import { bootConfigurationFlags } from '../lib/cli/boot-configuration-flags.js';
import { readBootConfigurationRequest } from '../lib/cli/read-boot-configuration-request.js';
import { entryFlag, partitionFlag } from '../lib/cli/configure-target-flags.js';
import { readDriveChoice } from '../lib/cli/drive-choice.js';
import { riskFlags } from '../lib/cli/drive-flags.js';
import { flashExtrasFlags } from '../lib/cli/flash-extras-flags.js';
import { sourceCheckFlags, sourceCheckRequest } from '../lib/cli/source-check-flags.js';
import { bootConfigurationLines } from '../lib/output/boot-configuration-text.js';
import { flash } from '../lib/flash/flash.js';
import type { FlashResult } from '../lib/flash/flash-result.js';
import { type FlashPlan, planFlash, verifyModes } from '../lib/flash/plan-flash.js';
import { bmapCheck } from '../lib/image/bmap-check.js';
import { findBmap } from '../lib/image/find-bmap.js';
import { openImageSource } from '../lib/image/source.js';
import { findSourceChecks } from '../lib/image/source-checks.js';
import { SourceProof } from '../lib/image/source-proof.js';
import { confirmWriting } from '../lib/output/confirm-writing.js';
import { bmapText, findingLines, flashedLine, planLines, resumeNotices } from '../lib/output/flash-text.js';
import { zipEntryPrompt } from '../lib/output/zip-entry-prompt.js';

/** A result with what was put into the boot partition, and what the image was checked against. */
type Configured<T> = T & {
  readonly configuration?: BootConfigurationSummary;
  /** The block map whose checksums the image had to have, if there was one. */
  readonly bmap?: string;
};

export default class Flash extends BaseCommand {
  static override summary = 'Write an image to a card, check it, and only then make it bootable.';

  static override description =
    'Raw, gzip, xz, zstd, zip, bzip2 and lz4 images are told by their content and unpacked on the way. Only what matters ' +
    'is written: free space of FAT, ext, squashfs and swap partitions is left alone. What was written is read back from the ' +
    'card and compared. The partition table is wiped first and written last, so a card whose flashing was ' +
    'interrupted never boots half a system. An image is read from a URL as it is written, and where the connection is lost ' +
    'reading goes on. Whether the image is the right one is found out on the way from checksums and signatures; when it is ' +
    'not, the card is left without a partition table. The configuration flags put settings and networks into the boot ' +
    'partition as it is written; the image itself is not changed.';

  static override examples = [
    '<%= config.bin %> flash balena.img.gz --drive /dev/sdb',
    '<%= config.bin %> flash balena.img.xz --drive /dev/sdb --drive /dev/sdc --yes',
    'curl --location https://example.com/image.img.zst | <%= config.bin %> flash - --drive /dev/sdb --yes',
    '<%= config.bin %> flash https://example.com/image.img.gz --drive /dev/sdb',
    '<%= config.bin %> flash https://example.com/image.img.gz --checksums auto --gpg-key example.asc --drive /dev/sdb',
    '<%= config.bin %> flash balena.zip --drive /dev/sdb --dry-run',
    '<%= config.bin %> flash balena.img.xz --drive /dev/sdb --dev --hostname kiosk',
    '<%= config.bin %> flash balena.img.xz --drive /dev/sdb --profile kiosk.yaml',
  ];

  static override args = {
    image: Args.string({ required: true, description: 'Image file or URL, packed or not, or - for standard input.' }),
  };

  static override flags = {
    drive: Flags.string({
      char: 'd',
      multiple: true,
      multipleNonGreedy: true,
      helpValue: '<drive>',
      summary:
        'Drive to write: its path, serial number, slot, or name in /dev/disk/by-id; or a file that stands for a card, ' +
        'made if it is not there. Several are written in one pass. Asked for on a terminal.',
    }),
    yes: Flags.boolean({ char: 'y', summary: 'Do not ask before the drive is overwritten.' }),
    'dry-run': Flags.boolean({ summary: 'Show what would be done and write nothing.' }),
    verify: Flags.option({
      options: verifyModes,
      default: 'full' as const,
      summary: 'How much of what was written is read back and compared.',
    })(),
    all: Flags.boolean({ summary: 'Write every byte of the image, whatever it is and whether or not it matters.' }),
    bmap: Flags.string({
      helpValue: '<file>',
      summary: 'Block map of bmaptool whose checksums the image has to have; without it, one beside the image is used.',
    }),
    'no-bmap': Flags.boolean({
      exclusive: ['bmap'],
      summary: 'Use no block map that lies beside the image or in its zip.',
    }),
    ...entryFlag,
    ...flashExtrasFlags,
    ...riskFlags,
    ...sourceCheckFlags,
    ...partitionFlag,
    ...bootConfigurationFlags,
  };

  async run(): Promise<Configured<FlashResult | { readonly plan: FlashPlan }>> {
    const parsed = await this.parse(Flash);
    const { args, flags } = parsed;
    const { signal, progress, streams } = this;
    const standardInputIsTaken = args.image === '-';
    const request = await readBootConfigurationRequest(parsed, { streams, signal, standardInputIsTaken });
    const proof = new SourceProof(await findSourceChecks(args.image, sourceCheckRequest(flags), signal), flags.hash);
    const source = await openImageSource(args.image, {
      proof,
      entry: flags.entry,
      chooseEntry: zipEntryPrompt(streams, signal),
      standardInput: this.streams.stdin,
      signal,
      progress,
    });
    try {
      const cardOptions = { partition: flags.partition, isExact: flags.all };
      let content = await planCardContent(source, withStandIns(request), cardOptions);
      const choice = await readDriveChoice(flags, { streams, signal });
      const planWith = ({ changes }: CardContent) =>
        planFlash({
          source,
          ...choice,
          everything: flags.all,
          verify: flags.verify,
          changes,
          extras: flags,
          checks: proof.checks,
        });
      let plan = await planWith(content);
      if (hasQuestions(request)) {
        // Nobody answers in vain: the image and the drives are known to be good by now.
        content = await planCardContent(source, await answered(request), cardOptions);
        plan = await planWith(content);
      }
      const { changes, identity, summary, warnings } = content;
      for (const text of warnings) progress({ type: 'notice', level: 'warning', text });
      const bmap = flags['no-bmap'] ? undefined : await findBmap(source, flags.bmap);
      const checks = bmap === undefined ? [] : [bmapCheck(bmap, source)];
      if (bmap !== undefined) progress({ type: 'notice', level: 'info', text: bmapText(bmap) });
      const more = {
        ...(summary === undefined ? {} : { configuration: summary }),
        ...(bmap === undefined ? {} : { bmap: bmap.name }),
      };
      const lines = [...planLines(plan), ...(summary === undefined ? [] : bootConfigurationLines(summary))];
      if (flags['dry-run']) {
        for (const line of lines) this.print(line);
        return { plan, ...more };
      }
      if (!flags.yes) {
        for (const line of lines) streams.stderr.write(`${line}\n`);
        await confirmWriting('erase all data on', plan.drives, { streams, signal });
      }
      for (const text of resumeNotices(plan)) progress({ type: 'notice', level: 'info', text });
      const result = await flash(plan, source, { signal, progress, proof, checks, changes, identity });
      for (const line of [...findingLines(result.image), ...result.drives.map(flashedLine)]) this.print(line);
      return { ...result, ...more };
    } finally {
      await proof.close();
      await source.close();
    }
  }
}
