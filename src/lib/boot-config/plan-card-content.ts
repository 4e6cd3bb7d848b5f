import type { ChangedRanges } from '../image/overlay.js';
import { primaryTableRepair } from '../image/read-guid-table.js';
import type { ImageSource } from '../image/source.js';
import type { BootConfigurationSummary, PlanOptions } from './boot-configuration-plan.js';
import type { BootConfigurationRequest } from './boot-configuration-request.js';
import type { DeviceIdentity } from './device-identity.js';
import { glanceAtImage } from './glance-at-image.js';
import { planSourceConfiguration } from './plan-source-configuration.js';

/** What a card gets besides the image itself, and what is to be known of both. */
export interface CardContent {
  /** Laid over the image. */
  readonly changes: ChangedRanges;
  /** What the device will be known by, as far as that is known. */
  readonly identity: DeviceIdentity;
  /** Where the image is configured. */
  readonly summary?: BootConfigurationSummary;
  readonly warnings: readonly string[];
}

/** How an image is put on a card. */
interface CardOptions extends Pick<PlanOptions, 'partition'> {
  /** Whether every byte is to be as in the image, whatever it is. */
  readonly isExact: boolean;
}

/** Plans what is laid over an image on its way to a card: its configuration, if any, and the primary GPT where only the backup is good. */
export async function planCardContent(
  source: ImageSource,
  request: BootConfigurationRequest,
  options: CardOptions,
): Promise<CardContent> {
  const content = await planContent(source, request, options);
  const repair = options.isExact || source.reader === undefined ? [] : await primaryTableRepair(source.reader);
  if (repair.length === 0) return content;
  const warning = 'the primary GPT of the image is damaged: what is written gets one that is made from the backup';
  return { ...content, changes: [...repair, ...content.changes], warnings: [...content.warnings, warning] };
}

async function planContent(
  source: ImageSource,
  request: BootConfigurationRequest,
  options: CardOptions,
): Promise<CardContent> {
  if (Object.keys(request).length === 0) return { changes: [], ...(await glanceAtImage(source)) };
  const { changes, identity, summary } = await planSourceConfiguration(source, request, options);
  return { changes, identity, summary, warnings: summary.warnings };
}
