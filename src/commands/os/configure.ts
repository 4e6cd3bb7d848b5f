import { Args, Flags } from '@oclif/core';
import type { BootConfigurationRequest } from '../../lib/boot-config/boot-configuration-request.js';
import { bootConfigurationFlags } from '../../lib/cli/boot-configuration-flags.js';
import { ConfigureCommand, type ConfigureResult } from '../../lib/cli/configure-command.js';
import { configureTargetFlags, readConfigureTarget } from '../../lib/cli/configure-target-flags.js';
import { readBootConfigurationRequest } from '../../lib/cli/read-boot-configuration-request.js';
import { sourceCheckFlags } from '../../lib/cli/source-check-flags.js';

export default class OsConfigure extends ConfigureCommand {
  static override summary = 'Put configuration and networks into an OS image.';

  static override description =
    'Writes a configured copy beside the image, or changes the image itself with --in-place; either way it is configured ' +
    'as a whole or not at all. A drive that has been flashed is changed in place, after a question. What is packed, ' +
    'at a URL or standard input becomes a new, unpacked image. Needs no mount, no login ' +
    'and, for images, no root. What is not asked for stays as it is, and the same image and flags give the same bytes.';

  static override examples = [
    '<%= config.bin %> <%= command.id %> device.img --dev --hostname kiosk',
    '<%= config.bin %> <%= command.id %> device.img --ssh-key ~/.ssh/id_ed25519.pub --wifi-ssid Office --wifi-key-file office.key',
    '<%= config.bin %> <%= command.id %> device.img --config fleet.json --network ethernet.nmconnection --output unit-7.img',
    '<%= config.bin %> <%= command.id %> device.img --profile kiosk.yaml --hostname kiosk-7',
    '<%= config.bin %> <%= command.id %> device.img --profile kiosk.yaml --diff',
    '<%= config.bin %> <%= command.id %> device.img.xz --profile kiosk.yaml --output kiosk.img',
    '<%= config.bin %> <%= command.id %> /dev/sdb --wifi-ssid Office',
    '<%= config.bin %> <%= command.id %> device.img --reset --in-place',
  ];

  static override args = {
    image: Args.string({
      required: true,
      description: 'Image file or URL, packed or not, a drive, or - for standard input.',
    }),
  };

  static override flags = {
    interactive: Flags.boolean({
      summary: 'Ask what to configure, as on a terminal when nothing is said about it.',
    }),
    ...bootConfigurationFlags,
    ...configureTargetFlags,
    ...sourceCheckFlags,
    reset: Flags.boolean({
      summary:
        'Return to what the image came with first: config.json, networks and added files; identity and keys go too.',
    }),
  };

  async run(): Promise<ConfigureResult> {
    const parsed = await this.parse(OsConfigure);
    const { args, flags } = parsed;
    const request = await readBootConfigurationRequest(parsed, {
      streams: this.streams,
      signal: this.signal,
      standardInputIsTaken: args.image === '-',
    });
    const whole = flags.reset ? { reset: true, under: request } : request;
    const isSaid = Object.keys(whole).length > 0;
    if (flags.interactive || (!isSaid && this.#canAsk(flags))) return this.#ask(args.image, whole, flags);
    return this.configure(args.image, whole, readConfigureTarget(flags), flags);
  }

  /** Whether somebody is there who looks for no quick answer. */
  #canAsk(flags: { readonly diff: boolean; readonly check: boolean }): boolean {
    const { stdinIsTerminal, stderrIsTerminal } = this.streams;
    return stdinIsTerminal && stderrIsTerminal && !flags.diff && !flags.check && !this.jsonEnabled();
  }

  async #ask(
    image: string,
    request: BootConfigurationRequest,
    flags: Parameters<typeof readConfigureTarget>[0],
  ): Promise<ConfigureResult> {
    const { askWhatToConfigure, saveProfile } = await import('../../lib/cli/configure-wizard.js');
    const { streams, signal, progress } = this;
    const isTargetSaid =
      flags['in-place'] || flags.output !== undefined || flags['dry-run'] || flags.diff || flags.check;
    const words = this.argv.filter((word) => !['--interactive', '--dry-run', '--json'].includes(word));
    const asked = await askWhatToConfigure({
      image,
      request,
      plan: (wanted) => this.plan(image, wanted, flags),
      isDryRun: flags['dry-run'],
      target: isTargetSaid ? readConfigureTarget(flags) : undefined,
      words: [this.config.bin, 'os', 'configure', ...words],
      streams,
      signal,
      progress,
    });
    const result = await this.configure(image, asked.request, asked.target, flags, true);
    if (asked.profile !== undefined) await saveProfile(asked.profile);
    for (const line of ['', ...asked.lines]) streams.stderr.write(`${line}\n`);
    return result;
  }
}
