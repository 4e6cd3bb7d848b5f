import { Failure } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { BlockFile, openBlockFile } from '../image/block-file.js';
import { copyImage } from '../image/copy-image.js';
import { restoreImage } from '../image/image-journal.js';
import { applyChanges, type ChangedRanges } from '../image/overlay.js';
import { DraftFile } from '../platform/draft-file.js';
import type { ConfiguredImage, ConfigureImageOptions } from './configure-image.js';
import { configuredName, requireOutput } from './configured-name.js';
import { configuredImage, imageChanged, planUnchangedImage, revisionOf } from './plan-image-configuration.js';
import { writeHints } from './write-hints.js';

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
    const plan = await planUnchangedImage(file, revision, request, options);
    if (!isDryRun)
      await writeCopy(file, plan.changes, { ...options, output, mayOverwrite: target.mayOverwrite, revision });
    return configuredImage(plan, options, { output, isWritten: !isDryRun });
  } finally {
    await file.close();
  }
}

async function chooseOutput(image: string, target: NewFileTarget): Promise<string> {
  const output = target.path ?? configuredName(image);
  await requireOutput(output, target.mayOverwrite, image);
  return output;
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
