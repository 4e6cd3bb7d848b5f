import { whileDoing } from '../failure/while-doing.js';
import { headReader } from '../image/head-reader.js';
import { readPartitionTable } from '../image/partition-table.js';
import type { ImageSource } from '../image/source.js';
import {
  type BootConfigurationPlan,
  type BootConfigurationRequest,
  planBootConfiguration,
} from './boot-configuration-plan.js';

/**
 * Plans the configuration of an image that is about to be written somewhere, also while it is still packed: only its beginning is
 * unpacked and held, up to the end of the boot partition. The image flows on from its first byte; the plan's changes are laid over it.
 */
export async function planSourceConfiguration(
  source: ImageSource,
  request: BootConfigurationRequest,
): Promise<BootConfigurationPlan> {
  const { name, reader, stream } = source;
  try {
    if (reader !== undefined) return await planBootConfiguration(reader, request);
    const head = headReader(stream, Number.POSITIVE_INFINITY);
    const table = await readPartitionTable(head, { primariesOnly: true });
    return await planBootConfiguration(head, request, { table, bootOnly: true });
  } catch (error) {
    throw whileDoing(`configuring ${name}`, error);
  }
}
