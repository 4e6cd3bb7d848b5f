import type { BootConfigurationSummary } from '../boot-config/boot-configuration-plan.js';
import type { BootConfigurationRequest } from '../boot-config/boot-configuration-request.js';
import { type ConfiguredImage, configureImage, type ConfigureTarget } from '../boot-config/configure-image.js';
import type { Drive } from '../drives/drive.js';
import { Failure } from '../failure/failure.js';
import { bootConfigurationLines, configuredImageLines } from '../output/boot-configuration-text.js';
import { BaseCommand } from './base-command.js';
import type { EditTargetFlagValues } from './configure-target-flags.js';
import { acceptedByFlags } from './drive-flags.js';

/** What a command that changes a boot partition prints with `--json`. */
export interface ConfigureResult extends ConfiguredImage {
  readonly version: 1;
}

/** What is told of everything that can be changed. */
interface Changed {
  readonly warnings: readonly string[];
  readonly isChanged: boolean;
}

/** What the commands share that change the boot partition of an image: how it is changed, shown and told. */
export abstract class ConfigureCommand extends BaseCommand {
  /** Configures an image as a request says, and shows what changed or would. Fails with `would-change` where that was to be found out. */
  protected async configure(
    image: string,
    request: BootConfigurationRequest,
    target: ConfigureTarget,
    flags: EditTargetFlagValues,
  ): Promise<ConfigureResult> {
    const configured = await configureImage({
      image,
      target,
      request,
      partition: flags.partition,
      isDryRun: flags['dry-run'],
      consent: {
        accepted: acceptedByFlags(flags, this.streams),
        confirm: (drive, summary) => this.#confirm(drive, summary, flags),
      },
      signal: this.signal,
      progress: this.progress,
    });
    return this.tell(image, configured, configuredImageLines(configured, this.streams.stdoutHasColor), flags);
  }

  /** Tells what changed or would. Fails with `would-change` where that was to be found out. */
  protected tell<T extends Changed>(
    name: string,
    changed: T,
    lines: readonly string[],
    { check }: Pick<EditTargetFlagValues, 'check'>,
  ): T & { readonly version: 1 } {
    for (const text of changed.warnings) this.progress({ type: 'notice', level: 'warning', text });
    for (const line of lines) this.print(line);
    const result = { version: 1, ...changed } as const;
    if (check && changed.isChanged) throw wouldChange(name, result);
    return result;
  }

  async #confirm(drive: Drive, summary: BootConfigurationSummary, flags: EditTargetFlagValues): Promise<void> {
    if (flags.yes) return;
    for (const line of bootConfigurationLines(summary)) this.streams.stderr.write(`${line}\n`);
    const { confirmWriting } = await import('../output/confirm-writing.js');
    await confirmWriting('change the configuration on', [drive], { streams: this.streams, signal: this.signal });
  }
}

function wouldChange(name: string, result: object): Failure {
  return new Failure('refused', 'would-change', `${name} is not yet as it was asked for`, {
    hint: 'Run the command without --check to change it',
    report: result,
  });
}
