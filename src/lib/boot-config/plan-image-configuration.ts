import { stat } from 'node:fs/promises';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import type { BlockFile } from '../image/block-file.js';
import { refuseCompressed } from '../image/compressed-image.js';
import { restoreImage } from '../image/image-journal.js';
import { type PartitionTable, readPartitionTable } from '../image/partition-table.js';
import { type BootConfigurationPlan, planBootConfiguration, type PlanOptions } from './boot-configuration-plan.js';
import type { BootConfigurationRequest } from './boot-configuration-request.js';
import type { ConfiguredImage, ConfigureImageOptions } from './configure-image.js';
import { fileDifferences } from './file-difference.js';

/** Plans the configuration of an open image file or drive; fails with `image-truncated` when its partitions go on behind its end. */
export async function planImageConfiguration(
  file: BlockFile,
  request: BootConfigurationRequest,
  options: Pick<PlanOptions, 'besideOnly' | 'partition'> = {},
): Promise<BootConfigurationPlan> {
  try {
    await refuseCompressed(file, file.path);
    const table = await readPartitionTable(file);
    requireWhole(table, file.size);
    return await planBootConfiguration(file, request, { ...options, table });
  } catch (error) {
    throw whileDoing(`configuring ${file.path}`, error);
  }
}

/** Fails with `image-truncated` when partitions go on behind the end of an image. */
export function requireWhole(table: PartitionTable, size: number): void {
  if (table.end <= size) return;
  throw new Failure(
    'failed',
    'image-truncated',
    `it is truncated: it has ${size} bytes, but its partitions take ${table.end}`,
    { hint: 'Get the image again' },
  );
}

/** What became of a plan. */
export function configuredImage(
  { changes, contents, summary }: BootConfigurationPlan,
  { image, target }: Pick<ConfigureImageOptions, 'image' | 'target'>,
  done: Pick<ConfiguredImage, 'output' | 'isWritten'>,
): ConfiguredImage {
  const differences = target.kind === 'nowhere' ? { differences: fileDifferences(contents) } : {};
  return { image, isChanged: changes.length > 0, ...done, ...summary, ...differences };
}

/** Tells whether an image is still the one that was planned for: a name and its content can change in the meantime. */
export async function revisionOf(image: string): Promise<string> {
  const { dev, ino, size, mtimeNs } = await stat(image, { bigint: true });
  return [dev, ino, size, mtimeNs].join(' ');
}

/**
 * Plans the configuration of an image file that others may change at the same time. What looks damaged may be half old and half new: then the
 * failure is `image-in-use` or `image-changed`.
 */
export async function planUnchangedImage(
  file: BlockFile,
  revision: string,
  request: BootConfigurationRequest,
  options: Pick<PlanOptions, 'partition'>,
): Promise<BootConfigurationPlan> {
  try {
    return await planImageConfiguration(file, request, options);
  } catch (error) {
    await restoreImage(file.path);
    if ((await revisionOf(file.path)) !== revision) throw imageChanged(file.path);
    throw error;
  }
}

/** The failure for an image that is no longer the one that was planned for. */
export function imageChanged(image: string): Failure {
  return new Failure('refused', 'image-changed', `${image} was changed by something else in the meantime`, {
    hint: 'Run the command again',
  });
}
