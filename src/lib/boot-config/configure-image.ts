import { randomBytes } from 'node:crypto';
import { chmod, chown, link, open, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { type BlockFile, openBlockFile } from '../image/block-file.js';
import { refuseCompressed } from '../image/compressed-image.js';
import { copyImage, type CopyOptions } from '../image/copy-image.js';
import { applyChanges, type ChangedRanges } from '../image/overlay.js';
import { readPartitionTable } from '../image/partition-table.js';
import {
  type BootConfigurationPlan,
  type BootConfigurationSummary,
  planBootConfiguration,
} from './boot-configuration-plan.js';
import type { BootConfigurationRequest } from './boot-configuration-request.js';
import { type FileDifference, fileDifferences } from './file-difference.js';

/** Where the configured image goes. */
export type ConfigureTarget =
  /** Nowhere: only what would change in the image is wanted. */
  | { readonly kind: 'nowhere' }
  | { readonly kind: 'in-place' }
  | {
      readonly kind: 'new-file';
      /** Without one: beside the image, as `name.configured.img`. */
      readonly path: string | undefined;
      readonly mayOverwrite: boolean;
    };

/** What to configure and how. */
export interface ConfigureImageOptions extends Pick<CopyOptions, 'signal' | 'progress'> {
  readonly image: string;
  readonly target: ConfigureTarget;
  readonly request: BootConfigurationRequest;
  /** Plan only. */
  readonly isDryRun: boolean;
}

/** What was configured, or would be. */
export interface ConfiguredImage extends BootConfigurationSummary {
  readonly image: string;
  /** The configured image. */
  readonly output: string;
  /** Whether the image is not yet what was asked for. */
  readonly isChanged: boolean;
  /** False for a dry run, and for a change in place that had nothing to change. */
  readonly isWritten: boolean;
  /** What changes in the files, with secrets hidden; only where the result goes nowhere. */
  readonly differences?: readonly FileDifference[];
}

/**
 * Configures an image file: plans the change, copies the image beside its destination, changes the copy, flushes it and only then
 * gives it its name. Whatever goes wrong before leaves both the image and an older output as they were.
 */
export async function configureImage(options: ConfigureImageOptions): Promise<ConfiguredImage> {
  const { image, target, request, isDryRun } = options;
  if (Object.keys(request).length === 0) {
    throw new Failure('usage', 'nothing-to-configure', 'nothing was said about what to configure', {
      hint: 'Add, for example, --profile, --dev, --hostname or --wifi-ssid; see davit os configure --help',
    });
  }
  const output = await chooseOutput(image, target);
  const revision = await revisionOf(image);
  const { changes, contents, summary } = await planFor(image, request);
  const isChanged = changes.length > 0;
  const configured = { image, output, isChanged, ...summary };
  if (target.kind === 'nowhere') return { ...configured, isWritten: false, differences: fileDifferences(contents) };
  const isWritten = !isDryRun && (isChanged || target.kind === 'new-file');
  if (isWritten) await writeOutput(image, output, changes, { ...options, revision });
  return { ...configured, isWritten };
}

/** The name of the configured image beside an image. */
function configuredName(image: string): string {
  const { dir, name, ext } = path.parse(image);
  return path.join(dir, `${name}.configured${ext}`);
}

async function planFor(image: string, request: BootConfigurationRequest): Promise<BootConfigurationPlan> {
  const file = await openBlockFile(image);
  try {
    refuseDrive(file);
    await refuseCompressed(file, image);
    const table = await readPartitionTable(file);
    if (table.end > file.size) {
      throw new Failure(
        'failed',
        'image-truncated',
        `it is truncated: it has ${file.size} bytes, but its partitions take ${table.end}`,
        { hint: 'Get the image again' },
      );
    }
    return await planBootConfiguration(file, request, { table });
  } catch (error) {
    throw whileDoing(`configuring ${image}`, error);
  } finally {
    await file.close();
  }
}

function refuseDrive(file: BlockFile): void {
  if (!file.isDrive) return;
  throw new Failure('refused', 'drive-not-supported', 'it is a drive, and only image files can be configured', {
    hint: 'Configure the image file, then write it with: davit flash',
  });
}

async function chooseOutput(image: string, target: ConfigureTarget): Promise<string> {
  const resolved = await resolveImage(image);
  // A link stays a link: the file that it names is replaced.
  if (target.kind !== 'new-file') return resolved;
  const output = target.path ?? configuredName(image);
  if (output === '') {
    throw new Failure('usage', 'output-not-a-file', 'the name of the output is empty', {
      hint: 'Give the path of a file with --output',
    });
  }
  const existing = await statIfThere(output);
  if (existing === undefined) return output;
  const own = await stat(resolved);
  if (existing.dev === own.dev && existing.ino === own.ino) {
    throw new Failure('usage', 'output-is-image', `${output} is the image itself`, {
      hint: 'Use --in-place to change the image, or give another --output',
    });
  }
  if (!existing.isFile()) {
    throw new Failure('usage', 'output-not-a-file', `${output} exists and is not a file`, {
      hint: 'Give the path of a file with --output',
    });
  }
  if (!target.mayOverwrite) throw outputExists(output);
  return output;
}

function outputExists(output: string): Failure {
  return new Failure('refused', 'output-exists', `${output} exists already`, {
    hint: 'Use --force to replace it, or give another --output',
  });
}

async function resolveImage(image: string): Promise<string> {
  try {
    return await realpath(image);
  } catch (error) {
    throw whileDoing(`opening ${image}`, error, { hint: 'Check the path' });
  }
}

async function statIfThere(file: string) {
  try {
    return await stat(file);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw whileDoing(`looking at ${file}`, error);
  }
}

async function writeOutput(
  image: string,
  output: string,
  changes: ChangedRanges,
  options: ConfigureImageOptions & { readonly revision: string },
): Promise<void> {
  const { dir } = path.parse(output);
  const draft = path.join(dir, `.davit-${randomBytes(8).toString('hex')}.partial`);
  try {
    await copyImage(image, draft, { signal: options.signal, progress: options.progress, name: output });
    const file = await openBlockFile(draft, { writable: true });
    try {
      await applyChanges(file, changes);
      await file.sync();
    } finally {
      await file.close();
    }
    await keepModeAndOwner(image, draft, options.target);
    options.signal.throwIfAborted();
    if ((await revisionOf(image)) !== options.revision) throw imageChanged(image);
    await nameDraft(draft, output, options.target);
    await syncFolder(dir);
  } catch (error) {
    const hint = writeHints[systemErrorCode(error) ?? ''];
    throw whileDoing(`writing ${output}`, error, hint === undefined ? {} : { hint });
  } finally {
    await rm(draft, { force: true });
  }
}

/** Tells whether an image is still the one that was planned for: a name and its content can change while it is copied. */
async function revisionOf(image: string): Promise<string> {
  const { dev, ino, size, mtimeNs } = await stat(image, { bigint: true });
  return [dev, ino, size, mtimeNs].join(' ');
}

function imageChanged(image: string): Failure {
  return new Failure('refused', 'image-changed', `${image} was changed by something else in the meantime`, {
    hint: 'Run the command again',
  });
}

/** Gives the finished draft its name. What has come up under that name in the meantime is replaced only if that was asked for. */
async function nameDraft(draft: string, output: string, target: ConfigureTarget): Promise<void> {
  if (target.kind === 'new-file' && !target.mayOverwrite) {
    try {
      await link(draft, output);
      return;
    } catch (error) {
      if (systemErrorCode(error) === 'EEXIST') throw outputExists(output);
      // Not every file system has links; there, the look before the copy has to do.
    }
  }
  await rename(draft, output);
}

const writeHints: Readonly<Record<string, string>> = {
  ENOSPC: 'The configured image needs as much free space as the image has data; give another place with --output',
  EACCES: 'Give a place that you may write to with --output',
  EROFS: 'Give a place that can be written to with --output',
  ENOENT: 'Make the folder first',
};

async function keepModeAndOwner(image: string, draft: string, target: ConfigureTarget): Promise<void> {
  const [original, copy] = await Promise.all([stat(image), stat(draft)]);
  const isOwnedAlike = original.uid === copy.uid && original.gid === copy.gid;
  if (target.kind === 'in-place' && !isOwnedAlike) await chown(draft, original.uid, original.gid);
  await chmod(draft, original.mode & 0o7777);
}

/** Makes the new name durable; Windows cannot open folders, and some network file systems cannot flush them. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder === '' ? '.' : folder);
    await handle.sync().finally(() => handle.close());
  } catch (error) {
    if (!['EPERM', 'EACCES', 'EINVAL', 'EISDIR', 'ENOTSUP'].includes(systemErrorCode(error) ?? '')) throw error;
  }
}
