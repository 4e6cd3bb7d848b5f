import { balenaArchitecture } from '../deploy/local-release.js';
import type { ContainerHost } from '../deploy/standard-environment.js';
import type { Device } from '../device/device.js';
import { enterLocalMode } from '../device/switch-local-mode.js';
import { listContainers } from '../engine/containers.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { engineInfo } from '../engine/engine-info.js';
import { Failure } from '../failure/failure.js';
import type { Account } from '../fleet/account.js';
import { ignoreProgress, type ProgressListener } from '../platform/progress.js';
import { supervisedDevice } from '../supervisor/local-state.js';
import type { SupervisorConnection } from '../supervisor/supervisor-connection.js';
import { isInLocalMode } from '../supervisor/local-mode.js';
import type { EngineLink } from '../device/engine-link.js';

/** A device that is pushed to, and what a project has to know of it. */
export interface PushTarget {
  readonly device: Device;
  readonly engine: EngineConnection;
  /** Who starts containers; undefined where that is ourselves, straight on the engine. */
  readonly supervisor: SupervisorConnection | undefined;
  readonly host: ContainerHost;
}

/** What the user says of the device. */
export interface PushTargetRequest {
  /** The device's type, where the device itself does not tell it. */
  readonly deviceType?: string | undefined;
  /** How long a device may take to answer. */
  readonly timeoutMs: number;
  /** Switches local mode on where it is off, with a login to the cloud of the device's fleet if there is one. */
  readonly localMode?: { readonly account: Account | undefined } | undefined;
}

/** How long a device may take to switch local mode on. */
const switchMs = 120_000;

/** Connects to a device and asks it what it is. */
export async function openPushTarget(
  link: EngineLink,
  { deviceType: givenType, timeoutMs, localMode }: PushTargetRequest,
  { signal, progress = ignoreProgress }: { readonly signal: AbortSignal; readonly progress?: ProgressListener },
): Promise<PushTarget> {
  const engine = await link.answeringEngine(timeoutMs, signal);
  const device = await link.device();
  const [supervisor, info] = await Promise.all([findSupervisor(device, engine, signal), engineInfo(engine, signal)]);
  if (supervisor !== undefined && !(await isInLocalMode(supervisor, signal))) {
    if (localMode === undefined) throw notInLocalMode(device);
    await enterLocalMode(device, { account: localMode.account, waitMs: switchMs, signal, progress });
  }
  const said = supervisor === undefined ? undefined : await supervisedDevice(supervisor, signal);
  const host = {
    name: info.hostname,
    deviceType: givenType ?? said?.deviceType,
    architecture: said?.architecture ?? balenaArchitecture(info.machine),
    operatingSystem: info.operatingSystem,
  };
  return { device, engine, supervisor, host };
}

/**
 * The Supervisor that is to start the containers, where the device has one. One that does not answer is no reason to go past
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

function notInLocalMode({ name }: Device): Failure {
  const message = `${name} runs what its fleet gives it, and accepts projects only in local mode`;
  return new Failure('refused', 'not-in-local-mode', message, {
    hint: 'Switch that on with --local-mode, which stops the services of the fleet and takes a login to its cloud',
  });
}
