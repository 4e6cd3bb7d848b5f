import { chosenServices, partOf } from '../deploy/chosen-services.js';
import { engineDeployer } from '../deploy/engine-deployer.js';
import type { DeployedService, Deployer, PlannedAction } from '../deploy/deployer.js';
import { localRelease } from '../deploy/local-release.js';
import { supervisorDeployer } from '../deploy/supervisor-deployer.js';
import { ignoreProgress, type ProgressListener } from '../platform/progress.js';
import { checkBuilds } from '../project/check-project.js';
import type { Composition } from '../project/composition.js';
import { type Finding, findingLine, refuseErrors, worstFirst } from '../project/finding.js';
import { imageProject, type Project, type ProjectRequest, readProject } from '../project/project.js';
import type { Delivered } from './deliver-image.js';
import type { Delivery, ServiceImage } from './delivery.js';
import type { EngineLink } from '../device/engine-link.js';
import { type ServiceVariable, withVariables } from './environment-variables.js';
import { openPushTarget, type PushTarget, type PushTargetRequest } from './push-target.js';
import { readServiceImages } from './service-images.js';

/** What is pushed. */
export interface PushRequest {
  readonly project: ProjectRequest;
  /** The device's type, where the device itself does not tell it. */
  readonly deviceType?: string | undefined;
  /** Variables set in containers. */
  readonly environment: readonly ServiceVariable[];
  /** An image in place of a project, as the delivery knows it. */
  readonly image?: string | undefined;
  /** The services that are pushed, with those that they depend on; all where none is named. */
  readonly services: readonly string[];
  /** How long a device may take to answer. */
  readonly timeoutMs: number;
  /** Whether files that change are carried into the containers afterwards: Dockerfiles are then built by their `#dev-` lines. */
  readonly isLive: boolean;
  /** Whether images are built where BuildKit is. */
  readonly hasBuildKit: boolean;
  /** Whether services on the device that are not part of the project stay. */
  readonly keepOrphans: boolean;
  /** Switches local mode on where it is off. */
  readonly localMode?: PushTargetRequest['localMode'];
}

/** A push that has been thought through and has not touched the device. */
export interface PushPlan {
  readonly target: PushTarget;
  readonly composition: Composition;
  /** The services of it that are pushed. */
  readonly chosen: ReadonlySet<string>;
  /** The compose files that say so; none where there is only a Dockerfile. */
  readonly files: readonly string[];
  /** What will not be as it is written, and what is good to know. */
  readonly findings: readonly Finding[];
  /** Where the services' images come from. */
  readonly images: readonly ServiceImage[];
  readonly delivery: Delivery;
  readonly deployer: Deployer;
}

/** What a push has done. */
export interface Pushed {
  readonly services: readonly DeployedService[];
  /** Names of services that the project does not have any more and the device neither. */
  readonly removed: readonly string[];
  /** Whether the device ran all of it already. */
  readonly isUnchanged: boolean;
  /** What it took to send images from this computer, by service. */
  readonly delivered: Readonly<Record<string, Delivered>>;
  readonly seconds: number;
}

/** What goes with a push besides its subject. */
export interface PushOptions {
  readonly signal: AbortSignal;
  readonly progress?: ProgressListener;
}

/** What a push needs to be planned. */
export interface PlanOptions extends PushOptions {
  /** How images get onto the device; it may serve others too. */
  readonly delivery: Delivery;
}

/** Reads the project, asks the device what it is, and settles what would be sent. */
export async function planPush(
  link: EngineLink,
  request: PushRequest,
  { signal, delivery, progress = ignoreProgress }: PlanOptions,
): Promise<PushPlan> {
  const { image } = request;
  const project =
    image === undefined ? await readProject(request.project, signal) : imageProject(request.project.folder, image);
  const composition = withVariables(project.composition, request.environment);
  const chosen = chosenServices(composition, request.services);
  const part = partOf(project, chosen);
  const target = await openPushTarget(link, request, { signal, progress });
  const images = await imagesFor(part, target, { isLive: request.isLive, signal });
  const { hasBuildKit } = request;
  const keepOrphans = request.keepOrphans || request.services.length > 0;
  const { engine, supervisor, host } = target;
  const builds = images.filter((one) => 'source' in one);
  const checkTarget = { isSupervised: supervisor !== undefined, ...host };
  const findings = await checkBuilds(part, builds, { target: checkTarget, hasBuildKit, signal });
  refuseErrors(findings, { findings });
  return {
    target,
    composition,
    chosen,
    files: project.files,
    findings,
    images,
    delivery,
    deployer:
      supervisor === undefined
        ? engineDeployer(engine, { host, chosen, keepOrphans })
        : supervisorDeployer(supervisor, engine, { chosen, keepOrphans }),
  };
}

function imagesFor(
  project: Project,
  { host }: PushTarget,
  options: { readonly isLive: boolean; readonly signal: AbortSignal },
): Promise<ServiceImage[]> {
  const { deviceType, architecture } = host;
  const { commit, appName } = localRelease;
  return readServiceImages(project, { commit, appName, deviceType, architecture }, options);
}

/** What a push would do, before anything is built: what depends on the builds is said with that. */
export interface PushOutline {
  readonly builds: readonly { readonly service: string; readonly from: string }[];
  readonly actions: readonly PlannedAction[];
}

/** Looks at the device and tells what a push would do there. */
export async function outlinePush(
  { composition, images, deployer }: PushPlan,
  signal: AbortSignal,
): Promise<PushOutline> {
  const { actions } = await deployer.plan(composition, new Map(), signal);
  return {
    builds: images.map((one) => ({
      service: one.service,
      from: 'build' in one ? `${one.source.dockerfile.source} in ${one.source.folder}` : one.image,
    })),
    actions,
  };
}

/** Brings the images to the device and has it run them in the place of what ran before. */
export async function runPush(plan: PushPlan, { signal, progress = ignoreProgress }: PushOptions): Promise<Pushed> {
  const { target, composition, images, delivery, deployer } = plan;
  const startedAt = performance.now();
  for (const finding of worstFirst(plan.findings)) {
    const level = finding.level === 'note' ? 'info' : 'warning';
    progress({ type: 'notice', level, text: findingLine(finding).replace(/(^|: )(warning|note): /, '$1') });
  }
  const { engine, host } = target;
  const delivered: Record<string, Delivered> = {};
  const ids = await delivery.deliver({ engine, architecture: host.architecture }, images, {
    signal,
    progress,
    onDelivered: (service, result) => {
      delivered[service] = result;
    },
  });
  const deployment = await deployer.plan(composition, ids, signal);
  for (const { kind, name, action, reason } of deployment.actions)
    if (kind === 'volume' && action === 'keep' && reason !== 'unchanged')
      progress({ type: 'notice', level: 'warning', text: `the volume ${name} stays as it is: ${reason}` });
  const services = await deployment.run({ signal, progress });
  return {
    services,
    removed: deployment.actions.flatMap(({ kind, name, action }) =>
      kind === 'service' && action === 'remove' ? [name] : [],
    ),
    isUnchanged: deployment.isDone,
    delivered,
    seconds: Math.round((performance.now() - startedAt) / 100) / 10,
  };
}
