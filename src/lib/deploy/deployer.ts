import type { ProgressListener } from '../platform/progress.js';
import type { Composition } from '../project/composition.js';

/** What a deployment does with one thing on a device, and why. */
export interface PlannedAction {
  readonly kind: 'service' | 'network' | 'volume';
  readonly name: string;
  readonly action: 'create' | 'recreate' | 'start' | 'keep' | 'remove';
  /** A few words: `other environment`. */
  readonly reason: string;
}

/** A service after a deployment. */
export interface DeployedService {
  readonly service: string;
  readonly action: 'create' | 'recreate' | 'start' | 'keep';
  readonly imageId: string;
  readonly containerId: string;
  readonly containerName: string;
  /** `running`, or `restarting` or `exited` when it ended at once. */
  readonly state: string;
}

/** What goes with a deployment besides its subject. */
export interface DeployOptions {
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

/** A deployment that has been thought through and has not touched the device. */
export interface Deployment {
  readonly actions: readonly PlannedAction[];
  /** Whether everything is as it should be already. */
  readonly isDone: boolean;
  /** Carries it out; what ran before runs on or runs again if that fails or is interrupted. */
  run(options: DeployOptions): Promise<readonly DeployedService[]>;
}

/** A way to make a device run a composition. */
export interface Deployer {
  /** @param images IDs on the device by service; of what is not there yet, nothing is said but how its container is made */
  plan(composition: Composition, images: ReadonlyMap<string, string>, signal: AbortSignal): Promise<Deployment>;
}
