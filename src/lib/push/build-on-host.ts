import { createHash } from 'node:crypto';
import { engineInfo } from '../engine/engine-info.js';
import { hostEngine } from '../engine/host-engine.js';
import { canRunMachine } from '../engine/probe-machine.js';
import type { RegistryLogins } from '../engine/pull-image.js';
import { Failure } from '../failure/failure.js';
import { inParallel } from '../platform/in-parallel.js';
import type { ProgressListener } from '../platform/progress.js';
import { ensureImage } from './build-on-device.js';
import { buildService } from './build-service.js';
import { buildWithBuildKit, findBuildKit } from './buildkit.js';
import { deliverImage } from './deliver-image.js';
import type { BuiltService, Delivery } from './delivery.js';
import { devicePlatform, type Platform, platformName, requireRunnable, runsProgramsOf } from './device-platform.js';
import { type ImageSource, imageInEngine } from './image-source.js';
import { LayerSpool } from './layer-spool.js';
import { balenaArchitecture, localImageTag } from '../deploy/local-release.js';

/** How images are built on this computer. Ctrl-C ends the builds for all devices at once, and nothing else does. */
export interface HostBuildOptions {
  readonly noCache: boolean;
  /** Whether images from registries are asked for even when the engine has them. */
  readonly pull: boolean;
  readonly logins: RegistryLogins;
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
}

/** Images on the way to a device; they share its link. */
const deliveriesAtOnce = 2;

/** The delivery in which the engine of this computer builds, once for all devices of a kind, and each is sent the layers that it lacks. */
export function buildOnHost(options: HostBuildOptions): Delivery {
  const builder = new HostBuilder(options);
  const spools = new Map<string, Promise<LayerSpool>>();
  const builtOnce = (one: BuiltService, architecture: string | undefined) => {
    const { service, build, source } = one;
    const key = JSON.stringify([service, architecture, build, source.dockerfile]);
    const spool = spools.get(key) ?? builder.build(one, architecture).then((image) => new LayerSpool(image));
    spools.set(key, spool);
    return spool;
  };
  return {
    deliver: async ({ engine, architecture }, images, { signal, progress, onDelivered }) => {
      const ids = await inParallel(images, { atOnce: deliveriesAtOnce, signal }, async (one, halt) => {
        const { service } = one;
        if (!('build' in one)) return ensureImage(engine, one, options, { signal: halt, progress });
        const image = await builtOnce(one, architecture);
        const request = { image, tag: localImageTag(service), id: service };
        const delivered = await deliverImage(engine, request, { signal: halt, progress });
        onDelivered?.(service, delivered);
        return delivered.imageId;
      });
      return new Map(images.map(({ service }, index) => [service, ids[index] ?? '']));
    },
    close: async () => {
      for (const spool of await Promise.allSettled(spools.values())) {
        if (spool.status === 'fulfilled') await spool.value.close();
      }
    },
  };
}

function knownPlatform(architecture: string | undefined): Platform {
  const platform = devicePlatform(architecture);
  if (platform !== undefined) return platform;
  const message = `what kind of computer the device is cannot be told${architecture === undefined ? '' : `: ${architecture}`}`;
  throw new Failure('refused', 'architecture-unknown', message, { hint: 'Build on the device: --build device' });
}

/** Builds images on the engine of this computer. */
class HostBuilder {
  readonly #options: HostBuildOptions;
  readonly #engine = settling(hostEngine());
  readonly #kit: ReturnType<typeof findBuildKit>;
  readonly #checks = new Map<string, Promise<void>>();

  constructor(options: HostBuildOptions) {
    this.#options = options;
    this.#kit = settling(findBuildKit(options.signal));
  }

  async build(one: BuiltService, architecture: string | undefined): Promise<ImageSource> {
    const platform = knownPlatform(architecture);
    const { signal, progress, noCache, pull, logins } = this.#options;
    const engine = await this.#engine;
    if (runsProgramsOf(platform, one.source.dockerfile.text)) await this.#requireAbleToRun(platform);
    const tag = hostTag(one, platform);
    const hasSecrets = (one.secrets?.size ?? 0) > 0 || Object.keys(logins).length > 0;
    // What must not be seen goes to the engine itself: the docker program would have to be told in files or in words.
    const kit = hasSecrets ? undefined : await this.#kit;
    const how = { platform: platformName(platform), tag, noCache, pull, signal, progress };
    if (kit === undefined) await buildService(engine, one, { ...how, logins });
    else await buildWithBuildKit(kit, one, how);
    const image = await imageInEngine(engine, tag, signal);
    // The classic builder takes a base image that is there for one of any platform.
    requireRunnable(image, architecture);
    return image;
  }

  #requireAbleToRun(platform: Platform): Promise<void> {
    const name = platformName(platform);
    const check = this.#checks.get(name) ?? settling(this.#check(platform, name));
    this.#checks.set(name, check);
    return check;
  }

  /** Sees before the build, which may fail after an hour, whether programs of the device's kind run here. */
  async #check(platform: Platform, name: string): Promise<void> {
    const { signal } = this.#options;
    const engine = await this.#engine;
    const { machine } = await engineInfo(engine, signal);
    const own = devicePlatform(balenaArchitecture(machine));
    if (own?.architecture === platform.architecture) return;
    const said = (await this.#kit)?.platforms;
    if (said === undefined ? await canRunMachine(engine, platform.architecture, signal) : said.includes(name)) return;
    const message = `this computer (${machine ?? 'unknown'}) cannot run programs for the device (${name}), and the Dockerfile has steps that do`;
    throw new Failure('refused', 'emulation-missing', message, {
      hint: `Install emulation, docker run --privileged --rm tonistiigi/binfmt --install ${platform.architecture}, or build on the device: --build device`,
    });
  }
}

/** The name under which this computer's engine keeps what was built for a project's service, so that its steps stay known. */
function hostTag({ service, source }: BuiltService, { architecture, variant }: Platform): string {
  const project = createHash('sha256').update(source.folder).digest('hex').slice(0, 8);
  return `davit/${service.toLowerCase()}:${project}-${architecture}${variant}`;
}

/** Keeps a failure for whoever awaits the result, also when nobody does. */
function settling<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
