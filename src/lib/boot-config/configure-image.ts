import { stat } from 'node:fs/promises';
import type { Drive } from '../drives/drive.js';
import type { DriveRisk } from '../drives/drive-risks.js';
import { isDriveElsewhere } from '../drives/drives-elsewhere.js';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { httpUrl } from '../image/source-location.js';
import type { SourceFindings } from '../image/source-proof.js';
import type { ProgressListener } from '../platform/progress.js';
import type { BootConfigurationSummary } from './boot-configuration-plan.js';
import type { BootConfigurationRequest } from './boot-configuration-request.js';
import { configureInPlace } from './configure-in-place.js';
import { configureNewFile, type NewFileTarget } from './configure-new-file.js';
import type { SourceReading } from './configure-source.js';
import type { FileDifference } from './file-difference.js';

/** Where the configured image goes: into the image itself, as always where that is a drive, into a new file, or nowhere, to see what would change. */
export type ConfigureTarget = { readonly kind: 'in-place' } | NewFileTarget | { readonly kind: 'nowhere' };

/** How a drive may be changed. */
export interface DriveConsent {
  /** Risks that the user takes. */
  readonly accepted: readonly DriveRisk[];
  /** Asks whether a drive is to be changed in this way; fails when it is not. */
  readonly confirm: (drive: Drive, summary: BootConfigurationSummary) => Promise<void>;
}

/** What to configure and how. */
export interface ConfigureImageOptions {
  /** Image file, or drive that has been flashed. */
  readonly image: string;
  readonly target: ConfigureTarget;
  readonly request: BootConfigurationRequest;
  /** The number, name or label of the boot partition, where it is not to be looked for. */
  readonly partition?: string | undefined;
  /** Plan only. */
  readonly isDryRun: boolean;
  /** How what is packed, at a URL or standard input is read; without it, only unpacked files are taken. */
  readonly reading?: SourceReading;
  /** Without it, drives are refused. */
  readonly consent?: DriveConsent;
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

/** What was configured, or would be. */
export interface ConfiguredImage extends BootConfigurationSummary {
  /** What the user calls it: a path, a URL without secrets, or "standard input". */
  readonly image: string;
  /** The configured image. */
  readonly output: string;
  /** Whether the image is not yet what was asked for. */
  readonly isChanged: boolean;
  /** False for a dry run, and for a change in place that had nothing to change. */
  readonly isWritten: boolean;
  /** What changes in the files, with secrets hidden; only where the result goes nowhere. */
  readonly differences?: readonly FileDifference[];
  /** What was found out about an image while it was unpacked; only where that was asked for. */
  readonly findings?: SourceFindings;
}

/** Configures an image file, in place or as a copy, or a drive. It is configured as a whole or not at all; see each way for how. */
export async function configureImage(options: ConfigureImageOptions): Promise<ConfiguredImage> {
  const { image, target, request } = options;
  if (Object.keys(request).length === 0) {
    throw new Failure('usage', 'nothing-to-configure', 'nothing was said about what to configure', {
      hint: 'Add, for example, --profile, --dev, --hostname or --wifi-ssid; see davit os configure --help',
    });
  }
  if (await isDrive(image)) {
    const { configureDrive } = await import('./configure-drive.js');
    return configureDrive(options);
  }
  if (options.reading !== undefined) {
    const { configureSource, isReadInOrder } = await import('./configure-source.js');
    if (await isReadInOrder(image, options.reading)) return configureSource(options, options.reading);
  }
  return target.kind === 'new-file' ? configureNewFile(options, target) : configureInPlace(options);
}

async function isDrive(image: string): Promise<boolean> {
  if (isDriveElsewhere(image)) return true;
  if (image === '-' || httpUrl(image) !== undefined) return false;
  const stats = await stat(image).catch((error: unknown) => {
    throw whileDoing(`opening ${image}`, error, { hint: 'Check the path' });
  });
  return stats.isBlockDevice();
}
