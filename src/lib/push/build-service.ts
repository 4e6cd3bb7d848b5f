import { buildImage } from '../engine/build-image.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { Failure } from '../failure/failure.js';
import { ignoreProgress, type ProgressListener } from '../platform/progress.js';
import { type BuildContext, packBuildContext } from '../project/build-context.js';
import { BuildReport, type ReachedStep } from './build-report.js';
import { parseDockerfile } from '../project/dockerfile.js';
import { localImageTag } from './local-release.js';
import type { BuildSource } from '../project/build-source.js';

/** What is built, and how. */
export interface ServiceBuild {
  readonly service: string;
  readonly source: BuildSource;
  readonly context: BuildContext;
  readonly noCache: boolean;
  readonly pull: boolean;
}

/**
 * Builds a service's image on a device's engine and returns the image's ID. The build's output is reported as lines; a build
 * that fails says at which line of the Dockerfile.
 */
export async function buildService(
  engine: EngineConnection,
  { service, source, context, noCache, pull }: ServiceBuild,
  { signal, progress = ignoreProgress }: { readonly signal?: AbortSignal; readonly progress?: ProgressListener } = {},
): Promise<string> {
  const report = new BuildReport(service, context.bytes, progress);
  try {
    const request = {
      context: await packBuildContext(context),
      dockerfile: source.dockerfile.path,
      tag: localImageTag(service),
      labels: { 'io.resin.local.image': '1', 'io.resin.local.service': service },
      noCache,
      pull,
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

/** The engine's own words, with the line of the Dockerfile that it had reached. */
function buildFailure(service: string, source: BuildSource, reached: ReachedStep | undefined, error: unknown): unknown {
  // An error status before the first step is the engine's answer to a Dockerfile that it cannot read.
  const isBuilds = error instanceof Failure && (error.code === 'build-failed' || error.code.startsWith('engine-'));
  if (!isBuilds || error.kind === 'unreachable') return error;
  const where = reached === undefined ? '' : ` at ${placeOf(reached, source)}`;
  return new Failure('failed', 'build-failed', `building ${service} failed${where}: ${error.message}`, {
    hint: 'What runs on the device has not been touched',
    cause: error,
  });
}

/** `line 7 of Dockerfile (RUN make)`; the step alone where the builder counts otherwise than we do. */
function placeOf({ number, of, text }: ReachedStep, { dockerfile }: BuildSource): string {
  const step = parseDockerfile(dockerfile.text).instructions[number - 1];
  const isSame = step !== undefined && firstWord(step.text) === firstWord(text);
  return isSame
    ? `line ${step.line} of ${dockerfile.source} (${text})`
    : `step ${number} of ${of} of ${dockerfile.source} (${text})`;
}

function firstWord(instruction: string): string {
  return (instruction.split(/\s/, 1)[0] ?? '').toUpperCase();
}
