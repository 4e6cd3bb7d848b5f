import { stat } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { BlockFile, openBlockFile } from '../image/block-file.js';
import { copyImage } from '../image/copy-image.js';
import { restoreImage } from '../image/image-journal.js';
import { applyChanges, type ChangedRanges } from '../image/overlay.js';
import { DraftFile } from '../platform/draft-file.js';
import type { ConfiguredImage, ConfigureImageOptions } from './configure-image.js';
import { configuredImage, imageChanged, planImageConfiguration, revisionOf } from './plan-image-configuration.js';

/** A configured copy of an image. */
export interface NewFileTarget {
  readonly kind: 'new-file';
  /** Without one: beside the image, as `name.configured.img`. */
  readonly path: string | undefined;
  readonly mayOverwrite: boolean;
}

/**
 * Copies an image beside its destination, changes the copy, flushes it and only then gives it its name. Whatever goes wrong before leaves
 * both the image and an older output as they were.
 */
export async function configureNewFile(
  options: ConfigureImageOptions,
  target: NewFileTarget,
): Promise<ConfiguredImage> {
  const { image, request, isDryRun } = options;
  const output = await chooseOutput(image, target);
  for (const text of await restoreImage(image)) options.progress({ type: 'notice', level: 'warning', text });
  const revision = await revisionOf(image);
  const file = await openBlockFile(image);
  try {
    const plan = await planImageConfiguration(file, request, options);
    if (!isDryRun)
      await writeCopy(file, plan.changes, { ...options, output, mayOverwrite: target.mayOverwrite, revision });
    return configuredImage(plan, options, { output, isWritten: !isDryRun });
  } finally {
    await file.close();
  }
}

/** The name of the configured image beside an image. */
export function configuredName(image: string): string {
  const { dir, name, ext } = path.parse(image);
  return path.join(dir, `${name}.configured${ext}`);
}

async function chooseOutput(image: string, target: NewFileTarget): Promise<string> {
  const own = await stat(image).catch((error: unknown) => {
    throw whileDoing(`opening ${image}`, error, { hint: 'Check the path' });
  });
  const output = target.path ?? configuredName(image);
  if (output === '') {
    throw new Failure('usage', 'output-not-a-file', 'the name of the output is empty', {
      hint: 'Give the path of a file with --output',
    });
  }
  const existing = await statIfThere(output);
  if (existing === undefined) return output;
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
  if (target.mayOverwrite) return output;
  throw new Failure('refused', 'output-exists', `${output} exists already`, {
    hint: 'Use --force to replace it, or give another --output',
  });
}

async function statIfThere(file: string) {
  try {
    return await stat(file);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw whileDoing(`looking at ${file}`, error);
  }
}

interface CopyRequest extends Pick<ConfigureImageOptions, 'image' | 'signal' | 'progress'> {
  readonly output: string;
  readonly mayOverwrite: boolean;
  readonly revision: string;
}

async function writeCopy(source: BlockFile, changes: ChangedRanges, request: CopyRequest): Promise<void> {
  const { image, output, mayOverwrite, signal, progress, revision } = request;
  try {
    const draft = await DraftFile.begin(output, { mayOverwrite, mode: 0o600, cloneOf: source.path });
    try {
      if (!draft.isClone) await copyImage(source, draft.handle, { signal, progress, name: output });
      await applyChanges(new BlockFile(output, draft.handle, source.size, false), changes);
      await draft.handle.chmod(Number((await source.stat()).mode) & 0o7777);
      signal.throwIfAborted();
      if ((await revisionOf(image)) !== revision) throw imageChanged(image);
      await draft.complete();
    } finally {
      await draft.discard();
    }
  } catch (error) {
    const hint = writeHints[systemErrorCode(error instanceof Failure ? error.cause : error) ?? ''];
    throw whileDoing(`configuring ${image}`, error, hint === undefined ? {} : { hint });
  }
}

const writeHints: Readonly<Record<string, string>> = {
  ENOSPC: 'The configured image needs as much free space as the image has data; give another place with --output',
  EACCES: 'Give a place that you may write to with --output',
  EROFS: 'Give a place that can be written to with --output',
  ENOENT: 'Make the folder first',
};
