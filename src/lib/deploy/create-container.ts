import { createContainer, removeContainer } from '../engine/containers.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { connectNetwork } from '../engine/networks.js';
import { Failure } from '../failure/failure.js';
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js';
import type { ProgressListener } from '../platform/progress.js';
import type { ContainerPlan } from './container-spec.js';
import type { FeatureMount } from './features.js';

/** What a planned container is made with. */
export interface ContainerCreation {
  readonly plan: ContainerPlan;
  readonly name: string;
  readonly imageId: string;
  /** ID of the container of a service that it shares something with. */
  readonly containerOf: (service: string) => string;
  readonly progress: ProgressListener;
}

/** Creates a service's container, on all its networks, and returns its ID. Nothing is left of one that cannot be completed. */
export async function createServiceContainer(
  engine: EngineConnection,
  { plan, name, imageId, containerOf, progress }: ContainerCreation,
): Promise<string> {
  const shared: JsonObject = Object.fromEntries(
    Object.entries(plan.shares).map(([key, service]) => [key, `container:${containerOf(service)}`]),
  );
  const create = (features: readonly FeatureMount[]) => {
    const spec = { ...plan.spec, Image: imageId };
    return createContainer(engine, name, withHostConfig(spec, shared, features));
  };
  const id = await create(plan.features).catch(async (error: unknown) => {
    // An engine says only in words that it has no such path to mount.
    const features = plan.features.length === 0 ? [] : await availableFeatures(engine, imageId, plan.features);
    if (features.length === plan.features.length) throw error;
    const missing = plan.features.filter((one) => !features.includes(one)).map(({ source }) => source);
    const text = `${plan.service} runs without what the device does not have: ${missing.join(', ')}`;
    progress({ type: 'notice', level: 'warning', text });
    return create(features);
  });
  try {
    // Engines before 25 create a container on one network only.
    for (const { network, endpoint } of plan.furtherNetworks) await connectNetwork(engine, network, id, endpoint);
  } catch (error) {
    await removeContainer(engine, id);
    throw error;
  }
  return id;
}

function withHostConfig(spec: JsonObject, shared: JsonObject, features: readonly FeatureMount[]): JsonObject {
  const host = isJsonObject(spec.HostConfig) ? spec.HostConfig : {};
  const mounts: readonly Json[] = Array.isArray(host.Mounts) ? host.Mounts : [];
  return { ...spec, HostConfig: { ...host, ...shared, Mounts: [...mounts, ...features.map(mountOf)] } };
}

function mountOf({ source, target, isReadOnly }: FeatureMount): JsonObject {
  return { Type: 'bind', Source: source, Target: target, ReadOnly: isReadOnly };
}

/** Tries each mount by itself: what can be mounted into a container that never starts is there. */
async function availableFeatures(
  engine: EngineConnection,
  imageId: string,
  features: readonly FeatureMount[],
): Promise<FeatureMount[]> {
  const available: FeatureMount[] = [];
  for (const feature of features) {
    try {
      const spec = { Image: imageId, Cmd: ['true'], HostConfig: { Mounts: [mountOf(feature)] } };
      await removeContainer(engine, await createContainer(engine, undefined, spec));
      available.push(feature);
    } catch (error) {
      if (!(error instanceof Failure) || error.kind !== 'failed') throw error;
    }
  }
  return available;
}
