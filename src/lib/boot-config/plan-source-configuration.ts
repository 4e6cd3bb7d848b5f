import { whileDoing } from '../failure/while-doing.js';
import type { ImageSource } from '../image/source.js';
import { type BootConfigurationPlan, planBootConfiguration, type PlanOptions } from './boot-configuration-plan.js';
import type { BootConfigurationRequest } from './boot-configuration-request.js';
import { lookIntoSource } from './source-blocks.js';

/**
 * Plans the configuration of an image that is about to be written somewhere, also while it is still packed. The image can be read from its
 * first byte afterwards; the plan's changes are laid over it.
 */
export async function planSourceConfiguration(
  source: ImageSource,
  request: BootConfigurationRequest,
  options: Pick<PlanOptions, 'partition'> = {},
): Promise<BootConfigurationPlan> {
  try {
    return await lookIntoSource(source, ({ reader, ...found }) =>
      planBootConfiguration(reader, request, { ...options, ...found }),
    );
  } catch (error) {
    throw whileDoing(`configuring ${source.name}`, error);
  }
}
