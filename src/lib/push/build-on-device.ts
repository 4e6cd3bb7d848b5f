import { localImageTag } from '../deploy/local-release.js';
import { listContainers } from '../engine/containers.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { findImage, type ImageSummary, listImages, tagImage } from '../engine/images.js';
import { imageReference, pullImage, type RegistryLogins } from '../engine/pull-image.js';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { inParallel } from '../platform/in-parallel.js';
import { layerProgress } from './build-report.js';
import { buildService } from './build-service.js';
import type { Delivery, DeliveryOptions, PulledService } from './delivery.js';

/** How images are built and pulled on a device. */
export interface DeviceBuildOptions {
  readonly noCache: boolean;
  /** Whether images from registries are asked for even when the device has them. */
  readonly pull: boolean;
  readonly logins: RegistryLogins;
}

/** A device has few cores and little memory; further builds wait. */
const buildsAtOnce = 3;

/** The delivery in which the device's own engine builds what is built and pulls what is not. */
export function buildOnDevice({ noCache, pull, logins }: DeviceBuildOptions): Delivery {
  return {
    deliver: async ({ engine }, images, { signal, progress }) => {
      const [present, containers] = await Promise.all([
        listImages(engine, { all: true, signal }),
        listContainers(engine, signal),
      ]);
      const before = { images: idsOf(present), containers: idsOf(containers) };
      const ids = await inParallel(images, { atOnce: buildsAtOnce, signal }, async (one, halt) => {
        const options = { signal: halt, progress };
        if (!('build' in one)) {
          const there = pull ? undefined : presentImage(present, one);
          return there ?? ensureImage(engine, one, { pull, logins }, options);
        }
        const cacheFrom = cacheSources(present, one.service);
        return buildService(engine, one, { noCache, pull, logins, cacheFrom, before, ...options });
      });
      return new Map(images.map(({ service }, index) => [service, ids[index] ?? '']));
    },
    close: () => Promise.resolve(),
  };
}

function idsOf(things: readonly { readonly id: string }[]): ReadonlySet<string> {
  return new Set(things.map(({ id }) => id));
}

/**
 * What `cachefrom` has to name. An engine reuses all steps that it has built itself. Those of an image that was sent to it, it reuses
 * only when that is named; but then nothing else counts that is not named too, so everything is, by the last image of each build.
 */
function cacheSources(present: readonly ImageSummary[], service: string): readonly string[] {
  const last = present.find(({ tags }) => tags.includes(localImageTag(service)));
  if (last === undefined || last.parent !== undefined) return [];
  const parents = new Set(present.map(({ parent }) => parent));
  return [last, ...present.filter((one) => one !== last && !parents.has(one.id))].map(({ id }) => id);
}

/** The ID of an image that is there by its own name and by the service's local tag, as it is after an earlier push. */
function presentImage(present: readonly ImageSummary[], { service, image }: PulledService): string | undefined {
  const { name, tag = 'latest' } = imageReference(image.replace(/^docker\.io\/(?:library\/)?/, ''));
  const wanted = [`${name}:${tag}`, localImageTag(service)];
  return present.find(({ tags }) => wanted.every((one) => tags.includes(one)))?.id;
}

/** Sees to it that an image from a registry is there, and is also known by the service's local tag. */
export async function ensureImage(
  engine: EngineConnection,
  one: PulledService,
  { pull, logins }: { readonly pull: boolean; readonly logins: RegistryLogins },
  options: DeliveryOptions,
): Promise<string> {
  const there = pull ? undefined : await findImage(engine, one.image, options.signal);
  const id = there ?? (await pulledImage(engine, one, logins, options));
  await tagImage(engine, id, localImageTag(one.service), options.signal);
  return id;
}

async function pulledImage(
  engine: EngineConnection,
  { service, image }: PulledService,
  logins: RegistryLogins,
  { signal, progress }: DeliveryOptions,
): Promise<string> {
  const step = { type: 'step', id: service, phase: 'pull' } as const;
  progress({ ...step, state: 'active', detail: image });
  try {
    await pullImage(engine, { image, logins, signal }, layerProgress(progress));
    const found = await findImage(engine, image, signal);
    if (found === undefined) throw new Failure('failed', 'pull-failed', 'the engine does not have it afterwards');
    progress({ ...step, state: 'done' });
    return found;
  } catch (error) {
    progress({ ...step, state: 'failed' });
    throw whileDoing(`pulling ${image} for ${service}`, error);
  }
}
