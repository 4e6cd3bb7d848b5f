import { buildImage } from '../engine/build-image.js';
import type { BeforeBuild } from '../engine/build-traces.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import type { RegistryLogins } from '../engine/pull-image.js';
import { Failure } from '../failure/failure.js';
import { localImageTag } from '../deploy/local-release.js';
import type { Json } from '../platform/json.js';
import { ignoreProgress, type ProgressListener } from '../platform/progress.js';
import { type BuildContext, packBuildContext } from '../project/build-context.js';
import type { BuildSource } from '../project/build-source.js';
import type { Build } from '../project/composition.js';
import { parseDockerfile } from '../project/dockerfile.js';
import { BuildReport, type ReachedStep } from './build-report.js';
import { secretHosts, withoutSecrets, withSecrets } from './build-secrets.js';
import type { BuiltService } from './delivery.js';

/** How images are built, whatever they are. */
export interface BuildOptions {
  readonly noCache: boolean;
  /** Whether base images are pulled even when the engine has them. */
  readonly pull: boolean;
  readonly logins?: RegistryLogins;
  /** Images whose steps count as built on this engine. */
  readonly cacheFrom?: readonly string[];
  /** Another tag than the service's local one. */
  readonly tag?: string;
  /** The kind of device it is for, where that is not the engine's own: `linux/arm64`. */
  readonly platform?: string;
  /** What the engine has, from which what an interrupted build leaves can be told. */
  readonly before?: BeforeBuild;
  readonly signal?: AbortSignal;
  readonly progress?: ProgressListener;
}

/**
 * Builds a service's image with an engine's classic builder and returns the image's ID; it is then known there by the service's local
 * tag. The build's output is reported as lines; a build that fails says at which line of the Dockerfile.
 */
export async function buildService(
  engine: EngineConnection,
  { service, build, source, context, secrets = new Map() }: BuiltService,
  options: BuildOptions,
): Promise<string> {
  const { noCache, pull, logins = {}, cacheFrom = [], tag, platform, before, signal } = options;
  const { progress = ignoreProgress } = options;
  const report = new BuildReport(service, source.dockerfile.text, context.bytes, progress);
  try {
    const request = {
      context: await packBuildContext(secrets.size === 0 ? context : contextWithSecrets(context, source)),
      dockerfile: source.dockerfile.path,
      tag: tag ?? localImageTag(service),
      labels: localImageLabels(service, build),
      noCache: noCache || build.no_cache === true,
      pull: pull || build.pull === true,
      logins,
      extraHosts: [...hostList(build.extra_hosts), ...secretHosts(secrets)],
      parameters: {
        ...buildParameters(build),
        platform,
        // With it, an engine reuses nothing that is not part of these images.
        cachefrom: cacheFrom.length > 0 ? cacheFrom : undefined,
      },
      before,
      signal,
    };
    const imageId = await buildImage(engine, request, report);
    report.done();
    return imageId;
  } catch (error) {
    report.failed();
    throw buildFailure(service, source, report.reached, error);
  }
}

/** Labels by which balena-cli and the Supervisor know images that were built for local mode. */
export function localImageLabels(service: string, build: Build): Readonly<Record<string, string>> {
  return { ...build.labels, 'io.resin.local.image': '1', 'io.resin.local.service': service };
}

function buildParameters(build: Build): Readonly<Record<string, Json | undefined>> {
  const ulimits = Object.entries(build.ulimits ?? {});
  return {
    buildargs: Object.keys(build.args).length > 0 ? build.args : undefined,
    target: build.target,
    shmsize: build.shm_size,
    networkmode: build.network,
    ulimits:
      ulimits.length > 0 ? ulimits.map(([Name, { soft, hard }]) => ({ Name, Soft: soft, Hard: hard })) : undefined,
  };
}

/** Hosts as the engine's API has them: `name:address`. */
export function hostList(hosts: Readonly<Record<string, readonly string[]>> = {}): readonly string[] {
  return Object.entries(hosts).flatMap(([name, addresses]) => addresses.map((address) => `${name}:${address}`));
}

function contextWithSecrets(context: BuildContext, { dockerfile }: BuildSource): BuildContext {
  return {
    ...context,
    paths: context.paths.filter((one) => one !== dockerfile.path),
    replaced: { path: dockerfile.path, text: withSecrets(dockerfile.text) },
  };
}

/** The engine's own words, with the line of the Dockerfile that it had reached. */
function buildFailure(service: string, source: BuildSource, reached: ReachedStep | undefined, error: unknown): unknown {
  // An error status before the first step is the engine's answer to a Dockerfile that it cannot read.
  const isBuilds = error instanceof Failure && (error.code === 'build-failed' || error.code.startsWith('engine-'));
  if (!isBuilds || error.kind === 'unreachable') return error;
  const where = reached === undefined ? '' : ` at ${placeOf(reached, source)}`;
  return new Failure('failed', 'build-failed', `building ${service} failed${where}: ${withoutSecrets(error.message)}`, {
    hint: 'What runs on the device has not been touched',
    cause: error,
  });
}

/** `line 7 of Dockerfile (RUN make)`; the step alone where the builder counts otherwise than we do. */
function placeOf({ number, of, text }: ReachedStep, { dockerfile }: BuildSource): string {
  const step = parseDockerfile(dockerfile.text).instructions[number - 1];
  return step?.text === text
    ? `line ${step.line} of ${dockerfile.source} (${text})`
    : `step ${number} of ${of} of ${dockerfile.source} (${text})`;
}
