import type { Device } from '../device/device.js';
import { listContainers } from '../engine/containers.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { engineInfo } from '../engine/engine-info.js';
import { Failure } from '../failure/failure.js';
import { ignoreProgress, type ProgressListener } from '../platform/progress.js';
import { supervisedDevice } from '../supervisor/local-state.js';
import type { SupervisorConnection } from '../supervisor/supervisor-connection.js';
import { buildOnDevice } from './build-on-device.js';
import type { ServiceImage } from './delivery.js';
import { readServiceImages } from './service-images.js';
import { deployThroughSupervisor } from './deploy-through-supervisor.js';
import type { EngineLink } from './engine-link.js';
import { balenaArchitecture, localRelease } from '../deploy/local-release.js';
import { readProject } from '../project/project.js';
import { onlyService } from '../project/single-service.js';
import { replaceContainer } from './replace-container.js';
import { type ContainerHost, planContainer } from './service-container.js';

/** What is pushed. */
export interface PushRequest {
  readonly folder: string;
  /** Another name in the place of `Dockerfile`, relative to the folder. */
  readonly dockerfile?: string | undefined;
  /** The device's type, where the device itself does not tell it. */
  readonly deviceType?: string | undefined;
  /** Variables set in the container. */
  readonly environment: Readonly<Record<string, string>>;
  /** How long a device may take to answer. */
  readonly timeoutMs: number;
  readonly noCache: boolean;
  readonly pull: boolean;
}

/** A push that has been thought through and has not touched the device. */
export interface PushPlan {
  readonly service: string;
  readonly device: Device;
  readonly engine: EngineConnection;
  /** Who starts the container; undefined where that is ourselves, straight on the engine. */
  readonly supervisor: SupervisorConnection | undefined;
  readonly host: ContainerHost;
  readonly images: readonly ServiceImage[];
  readonly request: PushRequest;
}

/** What a push has done. */
export interface Pushed {
  readonly service: string;
  readonly imageId: string;
  readonly containerId: string;
  readonly containerName: string;
  /** `running`, or `restarting` or `exited` when the container ended at once. */
  readonly state: string;
  readonly seconds: number;
}

/** What goes with a push besides its subject. */
export interface PushOptions {
  readonly signal: AbortSignal;
  readonly progress?: ProgressListener;
}

/** Reads the project, asks the device what it is, and settles what would be sent. */
export async function planPush(link: EngineLink, request: PushRequest, { signal }: PushOptions): Promise<PushPlan> {
  const project = await readProject({
    folder: request.folder,
    files: request.dockerfile === undefined ? [] : [request.dockerfile],
  });
  const [composeFile] = project.files;
  if (composeFile !== undefined) {
    const message = `${composeFile} is a compose file, and this version pushes only single Dockerfiles`;
    throw new Failure('refused', 'compose-unsupported', message, {
      hint: 'To build one Dockerfile of it as the service "main", name it with --file',
    });
  }
  const engine = await link.answeringEngine(request.timeoutMs, signal);
  const device = await link.device();
  const supervisor = await findSupervisor(device, engine, signal);
  const info = await engineInfo(engine, signal);
  const said = supervisor === undefined ? undefined : await supervisedDevice(supervisor, signal);
  const deviceType = request.deviceType ?? said?.deviceType;
  const architecture = said?.architecture ?? balenaArchitecture(info.machine);
  const host = {
    name: info.hostname,
    deviceType,
    architecture,
    operatingSystem: info.operatingSystem,
  };
  const { commit, appName } = localRelease;
  const images = await readServiceImages(project, { commit, appName, deviceType, architecture }, signal);
  return { service: onlyService, device, engine, supervisor, host, images, request };
}

/** Builds the project on the device and puts its container in the place of the one before. */
export async function runPush(plan: PushPlan, { signal, progress = ignoreProgress }: PushOptions): Promise<Pushed> {
  const { service, engine, host, images, request } = plan;
  const { noCache, pull, environment } = request;
  const startedAt = performance.now();
  const delivery = buildOnDevice({ noCache, pull, logins: {} });
  const target = { engine, architecture: host.architecture };
  const imageId = (await delivery.deliver(target, images, { signal, progress })).get(service) ?? '';
  const { id, name, state } =
    plan.supervisor === undefined
      ? await replaceContainer(engine, planContainer(service, imageId, environment, host), { signal, progress })
      : await deployThroughSupervisor(plan.supervisor, engine, { service, imageId, environment }, { signal, progress });
  const seconds = Math.round((performance.now() - startedAt) / 100) / 10;
  return { service, imageId, containerId: id, containerName: name, state, seconds };
}

/**
 * The Supervisor that is to start the container, where the device has one. One that does not answer is no reason to go past
 * it: it would remove a container that it did not start itself.
 */
async function findSupervisor(
  device: Device,
  engine: EngineConnection,
  signal: AbortSignal,
): Promise<SupervisorConnection | undefined> {
  const supervisor = await device.supervisor({ mayLogIn: false });
  if (supervisor !== undefined) return supervisor;
  const containers = await listContainers(engine, signal);
  if (!containers.some(({ name }) => /^(balena|resin)_supervisor$/.test(name))) return undefined;
  let cause: unknown;
  try {
    const hidden = await device.supervisor();
    if (hidden !== undefined) return hidden;
  } catch (error) {
    if (signal.aborted) throw error;
    cause = error;
  }
  throw new Failure('refused', 'supervisor-closed', `${device.name} has a balena Supervisor, which does not answer`, {
    hint: 'It opens its port to the network in local mode only: see davit device local-mode',
    cause,
  });
}
