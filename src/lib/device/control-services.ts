import {
  type ContainerSummary,
  listContainers,
  restartContainer,
  startContainer,
  stopContainer,
} from '../engine/containers.js';
import { serviceOfContainer } from '../engine/find-service.js';
import { Failure } from '../failure/failure.js';
import { actOnService, restartApp, type ServiceAction, supervisedServices } from '../supervisor/actions.js';
import type { SupervisorConnection } from '../supervisor/supervisor-connection.js';
import { bySupervisor } from './by-supervisor.js';
import type { Device } from './device.js';
import { requireUnlocked } from './update-locks.js';

/** What is to be done to which services. */
export interface ServiceRequest {
  readonly action: ServiceAction;
  /** All services of the device without it. */
  readonly service: string | undefined;
  /** Does it although the service holds an update lock. */
  readonly force: boolean;
  readonly signal: AbortSignal;
}

/**
 * Restarts, starts or stops services, through the Supervisor or straight on the engine, and gives their names. A Supervisor that does not let
 * us in would start again what was stopped behind its back, so that is refused.
 */
export async function controlServices(device: Device, request: ServiceRequest): Promise<readonly string[]> {
  return bySupervisor(
    device,
    (supervisor) => controlBySupervisor(supervisor, device.name, request),
    async (reason) => {
      if (reason === 'denied') {
        if (request.action === 'stop') throw wouldStartAgain(device.name);
        if (!request.force) await requireUnlocked(device);
      }
      return controlByEngine(device, request);
    },
  );
}

async function controlBySupervisor(
  supervisor: SupervisorConnection,
  deviceName: string,
  request: ServiceRequest,
): Promise<readonly string[]> {
  const { action, service, signal } = request;
  const all = await supervisedServices(supervisor, signal);
  const wanted = all.filter(({ name }) => service === undefined || name === service);
  if (wanted.length === 0) throw noService(deviceName, service, all);
  if (service === undefined && action === 'restart') {
    for (const appId of new Set(wanted.map((one) => one.appId))) await restartApp(supervisor, appId, request);
  } else {
    for (const one of wanted) await actOnService(supervisor, one, action, request);
  }
  return namesOf(wanted);
}

async function controlByEngine(
  device: Device,
  { action, service, signal }: ServiceRequest,
): Promise<readonly string[]> {
  const engine = await device.engine();
  const all = (await listContainers(engine, signal)).flatMap((container) => {
    const name = serviceOfContainer(container.name);
    return name === undefined ? [] : { name, container };
  });
  const wanted = all.filter(({ name }) => service === undefined || name === service);
  if (wanted.length === 0) throw noService(device.name, service, all);
  const act = { restart: restartContainer, start: startContainer, stop: stopContainer }[action];
  await Promise.all(wanted.map(({ container }: { container: ContainerSummary }) => act(engine, container.id, signal)));
  return namesOf(wanted);
}

function namesOf(services: readonly { readonly name: string }[]): readonly string[] {
  return [...new Set(services.map(({ name }) => name))].sort();
}

function noService(
  deviceName: string,
  service: string | undefined,
  all: readonly { readonly name: string }[],
): Failure {
  const message =
    service === undefined
      ? `${deviceName} has no services`
      : `${deviceName} has no container of the service "${service}"`;
  return new Failure('not-found', 'service-not-found', message, {
    hint: all.length > 0 ? `It has ${namesOf(all).join(', ')}` : 'Push a project to it first: davit push',
  });
}

function wouldStartAgain(deviceName: string): Failure {
  const message = `the Supervisor of ${deviceName} wants a key, and would start again what is stopped without it`;
  return new Failure('refused', 'supervisor-in-charge', message, {
    hint: 'Give a service the label io.balena.features.supervisor-api, which makes the Supervisor give it a key, or switch local mode on',
  });
}
