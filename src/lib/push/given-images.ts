import { stat } from 'node:fs/promises';
import { hostEngine } from '../engine/host-engine.js';
import { Failure } from '../failure/failure.js';
import { inParallel } from '../platform/in-parallel.js';
import { localImageTag } from '../deploy/local-release.js';
import { onlyService } from '../project/single-service.js';
import { deliverImage } from './deliver-image.js';
import type { Delivery } from './delivery.js';
import { requireRunnable } from './device-platform.js';
import { type ImageSource, imageInEngine, imageInFile } from './image-source.js';
import { LayerSpool } from './layer-spool.js';

/** Images that exist already on this computer. */
export interface GivenImages {
  /** By service: the name of one in the engine of this computer, or of a file that `docker save` wrote. */
  readonly images: ReadonlyMap<string, string>;
  /** What gets all other services' images onto devices. */
  readonly others: Delivery;
  readonly signal: AbortSignal;
}

const deliveriesAtOnce = 2;

/** The delivery in which some services' images are there already, and each device is sent the layers of them that it lacks. */
export function deliverGivenImages({ images: given, others, signal: outer }: GivenImages): Delivery {
  const spools = new Map<string, Promise<LayerSpool>>();
  const spoolOf = (name: string) => {
    const spool = spools.get(name) ?? findGiven(name, outer).then((image) => new LayerSpool(image));
    spools.set(name, spool);
    return spool;
  };
  return {
    deliver: async (target, images, options) => {
      const { signal, progress, onDelivered } = options;
      requireServices(
        given,
        images.map(({ service }) => service),
      );
      const ids = await inParallel([...given], { atOnce: deliveriesAtOnce, signal }, async ([service, name], halt) => {
        const image = await spoolOf(name);
        requireRunnable(image.source, target.architecture);
        const request = { image, tag: localImageTag(service), id: service };
        const delivered = await deliverImage(target.engine, request, { signal: halt, progress });
        onDelivered?.(service, delivered);
        return [service, delivered.imageId] as const;
      });
      const rest = images.filter(({ service }) => !given.has(service));
      return new Map([...(await others.deliver(target, rest, options)), ...ids]);
    },
    close: async () => {
      for (const spool of await Promise.allSettled(spools.values())) {
        if (spool.status === 'fulfilled') await spool.value.close();
      }
      await others.close();
    },
  };
}

/** Which images are given: one in place of a whole project, or some for services of one. */
export interface GivenWords {
  /** In place of a project. */
  readonly only: string | undefined;
  /** By service. */
  readonly images: ReadonlyMap<string, string>;
}

/** Reads `--image` values: `<image>`, or `<service>=<image>` any number of times. */
export function parseGivenImages(words: readonly string[]): GivenWords {
  const named = words.map((word) => /^(?:([\w.-]+)=)?(.+)$/.exec(word) ?? ['', undefined, '']);
  const only = named.find(([, service]) => service === undefined);
  if (only !== undefined && words.length > 1) {
    throw new Failure('usage', 'service-needed', 'of several images, each needs the service that it is for', {
      hint: 'Name it: --image <service>=<image>',
    });
  }
  const images = new Map(named.map(([, service = onlyService, image = '']) => [service, image]));
  return { only: only?.[2], images };
}

async function findGiven(name: string, signal: AbortSignal): Promise<ImageSource> {
  const isFile = await stat(name).then(
    (found) => found.isFile(),
    () => false,
  );
  if (isFile) return imageInFile(name, signal);
  if (/^[\w][\w./:@-]*$/.test(name)) return imageInEngine(await hostEngine(), name, signal);
  throw new Failure('usage', 'invalid-image-name', `"${name}" is neither a file nor the name of an image`, {
    hint: 'docker images lists the images of this computer',
  });
}

function requireServices(given: ReadonlyMap<string, string>, services: readonly string[]): void {
  const unknown = [...given.keys()].find((service) => !services.includes(service));
  if (unknown === undefined) return;
  throw new Failure('usage', 'unknown-service', `the service ${unknown} is not among those that are pushed`, {
    hint: `These are: ${services.join(', ')}`,
  });
}
