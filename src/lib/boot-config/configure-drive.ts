import { examineDrive, type Drive } from '../drives/drive.js';
import { requireFlashable } from '../drives/drive-refusal.js';
import { openDrive } from '../drives/open-drive.js';
import { Failure } from '../failure/failure.js';
import { BlockFile, openBlockFile } from '../image/block-file.js';
import type { ProgressListener } from '../platform/progress.js';
import type { BootConfigurationPlan } from './boot-configuration-plan.js';
import type { ConfiguredImage, ConfigureImageOptions } from './configure-image.js';
import { DriveJournal } from './drive-journal.js';
import { configuredImage, planImageConfiguration } from './plan-image-configuration.js';

/**
 * Configures a drive that has been flashed. It is opened like one that is to be flashed, and changed in an order in which each file is old or
 * new at any moment, also when it is pulled. What was not completed is taken back by the next davit that changes it.
 */
export async function configureDrive(options: ConfigureImageOptions): Promise<ConfiguredImage> {
  const { image, target, isDryRun, consent, signal, progress } = options;
  if (target.kind === 'nowhere') {
    // Whoever may read it may look, whatever else the drive is used for.
    return configuredImage(await planOf(image, options), options, { output: image, isWritten: false });
  }
  if (target.kind === 'new-file' && target.path !== undefined) {
    throw new Failure('usage', 'drive-to-file', `${image} is a drive, which is configured in place`, {
      hint: 'Leave out --output, or read it into a file first: davit drives read',
    });
  }
  if (consent === undefined) {
    throw new Failure(
      'refused',
      'drive-not-supported',
      `${image} is a drive, and this command changes only image files`,
      {
        hint: 'Use davit os configure, which changes drives too',
      },
    );
  }
  if (process.platform !== 'linux') throw platformUnsupported();
  const drive = await examineDrive(image, consent);
  requireFlashable(drive);
  const journal = await DriveJournal.of(drive);
  const seen = await planOf(drive.path, options);
  const isNeeded = seen.changes.length > 0 || (await journal.exists());
  const result = (plan: BootConfigurationPlan, isWritten: boolean) =>
    configuredImage(plan, options, { output: drive.path, isWritten });
  if (isDryRun || !isNeeded) return result(seen, false);
  await consent.confirm(drive, seen.summary);
  signal.throwIfAborted();
  // What was answered once is not asked again.
  const made = await change(drive, journal, { ...options, request: seen.request }, progress);
  return result(made, made.changes.length > 0);
}

type PlanRequest = Pick<ConfigureImageOptions, 'request' | 'partition'>;

async function planOf(path: string, { request, partition }: PlanRequest): Promise<BootConfigurationPlan> {
  const file = await openBlockFile(path);
  return planImageConfiguration(file, request, { besideOnly: true, partition }).finally(() => file.close());
}

/** Changes a drive that nobody else can change any more; what it holds may not be what was seen before. */
async function change(
  drive: Drive,
  journal: DriveJournal,
  { request, partition }: PlanRequest,
  progress: ProgressListener,
): Promise<BootConfigurationPlan> {
  const { handle } = await openDrive(drive, { direct: false });
  const file = new BlockFile(drive.path, handle, drive.size, true);
  try {
    if (await journal.takeBack(file)) {
      const text = `${drive.path} was being changed when davit was ended: it is as it was before that`;
      progress({ type: 'notice', level: 'warning', text });
    }
    const plan = await planImageConfiguration(file, request, { besideOnly: true, partition });
    if (plan.changes.length > 0) await journal.apply(file, plan.staged);
    return plan;
  } finally {
    await file.close();
  }
}

function platformUnsupported(): Failure {
  return new Failure('refused', 'platform-unsupported', `drives cannot be configured on ${process.platform}`, {
    hint: 'Configure the image file, or while it is written: davit flash with the same flags',
  });
}
