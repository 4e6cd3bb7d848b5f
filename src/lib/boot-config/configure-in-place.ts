import { realpath } from 'node:fs/promises';
import { examineDrive } from '../drives/drive.js';
import { requireFlashable } from '../drives/drive-refusal.js';
import { openBlockFile } from '../image/block-file.js';
import { changeImage, restoreImage } from '../image/image-journal.js';
import { stateOf } from '../image/staged-changes.js';
import type { ConfiguredImage, ConfigureImageOptions } from './configure-image.js';
import { configuredImage, imageChanged, planUnchangedImage, revisionOf } from './plan-image-configuration.js';

/**
 * Configures an image file without copying it: only what changes is written, under a journal by which it is taken back unless it is
 * completed.
 */
export async function configureInPlace(options: ConfigureImageOptions): Promise<ConfiguredImage> {
  const { request, target, isDryRun, signal, progress } = options;
  for (const text of await restoreImage(options.image)) progress({ type: 'notice', level: 'warning', text });
  // A link stays a link: the file that it names is changed.
  const image = await realpath(options.image);
  const revision = await revisionOf(image);
  const reading = await openBlockFile(image);
  const plan = await planUnchangedImage(reading, revision, request, options).finally(() => reading.close());
  const isWritten = plan.changes.length > 0 && target.kind === 'in-place' && !isDryRun;
  if (isWritten) {
    // What it is attached to would not see the change, or see it in part.
    requireFlashable(await examineDrive(image));
    const file = await openBlockFile(image, { writable: true });
    try {
      signal.throwIfAborted();
      await changeImage(file, plan.staged, async () => {
        // The clock of file systems is too coarse to tell of all changes, so that what is to change is looked at, too.
        const isSame = (await revisionOf(image)) === revision && (await stateOf(file, plan.staged)) === 'old';
        if (!isSame) throw imageChanged(image);
      });
    } finally {
      await file.close();
    }
  }
  return configuredImage(plan, options, { output: image, isWritten });
}
