import type { RegistryLogins } from '../engine/pull-image.js';
import type { ProgressListener } from '../platform/progress.js';
import { buildOnDevice } from './build-on-device.js';
import { buildOnHost } from './build-on-host.js';
import type { Delivery } from './delivery.js';
import { deliverGivenImages } from './given-images.js';

/** Where images can be built. */
export const buildPlaces = ['device', 'host'] as const;

/** How images get onto devices. */
export interface DeliveryRequest {
  readonly build: (typeof buildPlaces)[number];
  /** Images of this computer for services, instead of whatever the project says. */
  readonly given: ReadonlyMap<string, string>;
  readonly noCache: boolean;
  readonly pull: boolean;
  readonly logins: RegistryLogins;
}

/** The delivery for any number of devices. Whoever opens it closes it. */
export function openDelivery(
  { build, given, noCache, pull, logins }: DeliveryRequest,
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: ProgressListener },
): Delivery {
  const options = { noCache, pull, logins };
  const others = build === 'host' ? buildOnHost({ ...options, signal, progress }) : buildOnDevice(options);
  return given.size === 0 ? others : deliverGivenImages({ images: given, others, signal });
}
