import path from 'node:path';
import { chosenServices, partOf } from '../deploy/chosen-services.js';
import { localRelease } from '../deploy/local-release.js';
import { detailsScript, parseHostDetails } from '../device/host-details.js';
import type { Device } from '../device/device.js';
import { runScript } from '../device/run-script.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { imageArchitectures } from '../engine/image-distribution.js';
import { imageDetails } from '../engine/images.js';
import type { RegistryLogins } from '../engine/pull-image.js';
import { Failure } from '../failure/failure.js';
import { outlineDockerfile } from '../project/check-dockerfile.js';
import { type CheckedBuild, checkProject } from '../project/check-project.js';
import type { Place } from '../project/composition.js';
import type { CheckTarget, Finding } from '../project/finding.js';
import { type Project, type ProjectRequest, readProject } from '../project/project.js';
import { devicePlatform } from './device-platform.js';
import type { EngineLink } from '../device/engine-link.js';
import { openPushTarget } from './push-target.js';

/** What is checked. */
export interface CheckRequest extends ProjectRequest {
  readonly deviceType?: string | undefined;
  /** The services that are looked at, with those that they depend on; all where none is named. */
  readonly services: readonly string[];
  readonly timeoutMs: number;
  readonly logins: RegistryLogins;
  /** Whether images are built where BuildKit is. */
  readonly hasBuildKit: boolean;
}

/** What a check before a push has found. */
export interface CheckedPush {
  /** The services that would be pushed. */
  readonly services: readonly string[];
  readonly findings: readonly Finding[];
}

/** Checks a project without building or changing anything: by itself, or for a device that is asked what it has. */
export async function checkPush(
  link: EngineLink | undefined,
  request: CheckRequest,
  signal: AbortSignal,
): Promise<CheckedPush> {
  const whole = await readProject(request, signal);
  const project = partOf(whole, chosenServices(whole.composition, request.services));
  const target = link === undefined ? undefined : await openPushTarget(link, request, { signal });
  const { deviceType = request.deviceType, architecture } = target?.host ?? {};
  const { commit, appName } = localRelease;
  const values = { commit, appName, deviceType, architecture };
  // Without a device to look at, what a balenaOS device makes of it is of interest.
  const isSupervised = target === undefined || target.supervisor !== undefined;
  const checkTarget: CheckTarget = { isSupervised, architecture, deviceType };
  const { findings, builds } = await checkProject(project, {
    target: checkTarget,
    values,
    hasBuildKit: request.hasBuildKit,
    signal,
  });
  const ofDevice =
    target === undefined
      ? []
      : [
          ...(await checkImages(project, builds, { ...request, ...target, architecture, signal })),
          ...(await checkSpace(target.device, builds)),
        ];
  return { services: Object.keys(project.composition.services), findings: [...findings, ...ofDevice] };
}

interface ImageCheck {
  readonly engine: EngineConnection;
  readonly logins: RegistryLogins;
  readonly architecture: string | undefined;
  readonly signal: AbortSignal;
}

/** Images that the device neither has nor can get, or that are for another kind of computer. */
async function checkImages(project: Project, builds: readonly CheckedBuild[], check: ImageCheck): Promise<Finding[]> {
  const { composition, placeOf, shown } = project;
  const needed = new Map<string, { readonly service: string; readonly place: Place | undefined }>();
  for (const { service, source } of builds) {
    const build = composition.services[service]?.build ?? { args: {} };
    const file = shown(path.resolve(source.folder, source.dockerfile.source));
    for (const { image, line } of outlineDockerfile(source.dockerfile.text, build).bases) {
      if (!needed.has(image)) needed.set(image, { service, place: { file, line, column: 1 } });
    }
  }
  for (const [service, { image, build }] of Object.entries(composition.services)) {
    if (build !== undefined || image === undefined || needed.has(image)) continue;
    needed.set(image, { service, place: placeOf(['services', service, 'image']) });
  }
  const findings = await Promise.all(
    Array.from(needed, async ([image, { service, place }]): Promise<Finding[]> => {
      const problem = await imageProblem(image, check);
      return problem === undefined ? [] : [{ ...problem, service, ...(place === undefined ? {} : { place }) }];
    }),
  );
  return findings.flat();
}

async function imageProblem(
  image: string,
  { engine, logins, architecture, signal }: ImageCheck,
): Promise<Pick<Finding, 'level' | 'code' | 'message'> | undefined> {
  const wanted = devicePlatform(architecture)?.architecture;
  const here = await imageDetails(engine, image, signal);
  let offered: readonly string[];
  try {
    offered = here === undefined ? await imageArchitectures(engine, image, logins, signal) : [here.architecture];
  } catch (error) {
    if (!(error instanceof Failure) || error.kind === 'interrupted') throw error;
    const isMissing = error.kind === 'not-found' || /denied|unauthorized|unknown/i.test(error.message);
    const because = `: ${error.message}`;
    return isMissing
      ? {
          level: 'error',
          code: 'base-image-missing',
          message: `the device does not have ${image}, and its registry does not give it${because}`,
        }
      : {
          level: 'warning',
          code: 'base-image-unknown',
          message: `the device does not have ${image}, and cannot ask its registry${because}`,
        };
  }
  if (wanted === undefined || offered.length === 0 || offered.includes(wanted)) return undefined;
  const message = `${image} is for ${offered.join(', ')}, and the device is ${wanted}`;
  return { level: 'warning', code: 'base-image-foreign', message };
}

/** Whether what would be sent fits onto the device, where its host lets us look; an image needs about as much again. */
async function checkSpace(device: Device, builds: readonly CheckedBuild[]): Promise<Finding[]> {
  const sent = builds.reduce((sum, { context }) => sum + context.bytes, 0);
  let free: number | undefined;
  try {
    const { stdout } = await runScript(await device.ssh(), detailsScript);
    free = parseHostDetails(stdout.toString('utf8')).data?.available;
  } catch (error) {
    if (!(error instanceof Failure) || error.kind === 'interrupted') throw error;
    const message = `the free space of the device is not known, as its host lets nobody in: ${error.message}`;
    return [{ level: 'note', code: 'space-unknown', message }];
  }
  if (free === undefined || free > 2 * sent + spareBytes) return [];
  const message = `the device has ${megabytes(free)} free, and what is built from is ${megabytes(sent)}; images need about as much again`;
  return [{ level: free < sent ? 'error' : 'warning', code: 'space-short', message }];
}

const spareBytes = 100_000_000;

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}
