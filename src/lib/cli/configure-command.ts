import type { BootConfigurationSummary } from '../boot-config/boot-configuration-plan.js';
import type { BootConfigurationRequest } from '../boot-config/boot-configuration-request.js';
import { type ConfiguredImage, configureImage, type ConfigureTarget } from '../boot-config/configure-image.js';
import type { Drive } from '../drives/drive.js';
import { Failure } from '../failure/failure.js';
import { bootConfigurationLines, configuredImageLines } from '../output/boot-configuration-text.js';
import { zipEntryPrompt } from '../output/zip-entry-prompt.js';
import { shellWord } from '../platform/shell-word.js';
import { BaseCommand } from './base-command.js';
import type { EditTargetFlagValues } from './configure-target-flags.js';
import { acceptedByFlags } from './drive-flags.js';
import { type SourceCheckFlagValues, sourceCheckRequest } from './source-check-flags.js';

/** What a command that changes a boot partition prints with `--json`. */
export interface ConfigureResult extends ConfiguredImage {
  readonly version: 1;
}

/** What is told of everything that can be changed. */
interface Changed {
  readonly warnings: readonly string[];
  readonly isChanged: boolean;
}

/** The values of flags that only some of these commands have. */
interface ReadingFlagValues extends SourceCheckFlagValues {
  readonly hash?: boolean;
}

/** What the commands share that change the boot partition of an image: how it is changed, shown and told. */
export abstract class ConfigureCommand extends BaseCommand {
  /**
   * Configures an image as a request says, and shows what changed or would. Fails with `would-change` where that was to be found out.
   *
   * @param isShown whether the user has seen already what will change
   */
  protected async configure(
    image: string,
    request: BootConfigurationRequest,
    target: ConfigureTarget,
    flags: EditTargetFlagValues & ReadingFlagValues,
    isShown = false,
  ): Promise<ConfigureResult> {
    const configured = await this.#run(image, request, target, flags);
    const lines = configuredImageLines(configured, this.streams.stdoutHasColor, isShown);
    const { isWritten, output } = configured;
    const result = this.tell(configured.image, configured, lines, { ...flags, isWarned: isShown });
    if (isWritten && target.kind === 'new-file' && !flags.quiet) {
      const text = `Put it on a card with: ${this.config.bin} flash ${shellWord(output)}`;
      this.progress({ type: 'notice', level: 'info', text });
    }
    return result;
  }

  /** Tells what changed or would. Fails with `would-change` where that was to be found out. */
  protected tell<T extends Changed>(
    name: string,
    changed: T,
    lines: readonly string[],
    { check, quiet, isWarned = false }: Pick<EditTargetFlagValues, 'check' | 'quiet'> & { readonly isWarned?: boolean },
  ): T & { readonly version: 1 } {
    for (const text of isWarned ? [] : changed.warnings) this.progress({ type: 'notice', level: 'warning', text });
    for (const line of quiet ? [] : lines) this.print(line);
    const result = { version: 1, ...changed } as const;
    if (check && changed.isChanged) throw wouldChange(name, result);
    return result;
  }

  /** Finds out what a request would change in an image. */
  protected plan(
    image: string,
    request: BootConfigurationRequest,
    flags: EditTargetFlagValues & ReadingFlagValues,
  ): Promise<ConfiguredImage> {
    return this.#run(image, request, { kind: 'nowhere' }, flags);
  }

  #run(
    image: string,
    request: BootConfigurationRequest,
    target: ConfigureTarget,
    flags: EditTargetFlagValues & ReadingFlagValues,
  ): Promise<ConfiguredImage> {
    return configureImage({
      image,
      target,
      request,
      partition: flags.partition,
      reading: {
        entry: flags.entry,
        chooseEntry: zipEntryPrompt(this.streams, this.signal),
        standardInput: this.streams.stdin,
        checks: sourceCheckRequest(flags),
        hash: flags.hash ?? false,
      },
      isDryRun: flags['dry-run'],
      consent: {
        accepted: acceptedByFlags(flags, this.streams),
        confirm: (drive, summary) => this.#confirm(drive, summary, flags),
      },
      signal: this.signal,
      progress: (event) => {
        if (!flags.quiet || event.type === 'notice') this.progress(event);
      },
    });
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
