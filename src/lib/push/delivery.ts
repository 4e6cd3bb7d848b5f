import type { EngineConnection } from '../engine/engine-connection.js';
import type { ProgressListener } from '../platform/progress.js';
import type { BuildContext } from '../project/build-context.js';
import type { BuildSource } from '../project/build-source.js';
import type { Build } from '../project/composition.js';
import type { BuildSecrets } from './build-secrets.js';
import type { Delivered } from './deliver-image.js';

/** A service whose image is built. */
export interface BuiltService {
  readonly service: string;
  readonly build: Build;
  /** What it is built from on this kind of device. */
  readonly source: BuildSource;
  readonly context: BuildContext;
  /** What its steps find in `/run/secrets` and no image may hold. */
  readonly secrets?: BuildSecrets;
}

/** A service whose image exists somewhere already. */
export interface PulledService {
  readonly service: string;
  /** As in a compose file: `redis:7`. */
  readonly image: string;
}

/** What a service's image comes from, settled for one device. */
export type ServiceImage = BuiltService | PulledService;

/** The device that images are to be on. */
export interface DeliveryTarget {
  readonly engine: EngineConnection;
  /** As balena names it: `aarch64`, `amd64`, …; undefined where the device tells nothing that is known. */
  readonly architecture: string | undefined;
}

/** What goes with a delivery besides its subject. */
export interface DeliveryOptions {
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
  /** Hears what it took to send an image from this computer. */
  readonly onDelivered?: ((service: string, delivered: Delivered) => void) | undefined;
}

/**
 * A way for images to get onto devices: built there, or built elsewhere and sent. One delivery may serve many devices at once, and may
 * then do for all of them together what needs doing only once.
 */
export interface Delivery {
  /**
   * Makes every service's image present on the device and returns their IDs there by service. Nothing else on the device has changed
   * when it fails or is interrupted.
   */
  deliver(
    target: DeliveryTarget,
    images: readonly ServiceImage[],
    options: DeliveryOptions,
  ): Promise<ReadonlyMap<string, string>>;
  /** Removes what was kept for further devices. */
  close(): Promise<void>;
}
