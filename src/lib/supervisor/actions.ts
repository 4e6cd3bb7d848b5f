import { isRecord } from '../platform/json.js';
import type { SupervisorConnection } from './supervisor-connection.js';
import { supervisorJson } from './supervisor-request.js';

/** What goes with everything that a Supervisor is told to do. */
export interface ActionOptions {
  /** Does it although a service holds an update lock. */
  readonly force: boolean;
  readonly signal: AbortSignal;
}

/** What can be done to services. */
export type ServiceAction = 'restart' | 'start' | 'stop';

/** Containers get ten seconds to end, one after the other. */
const containersMs = 300_000;

/** Blinks the light of the device. */
export async function blink(supervisor: SupervisorConnection, signal: AbortSignal): Promise<void> {
  await supervisorJson(supervisor, { method: 'POST', path: '/v1/blink', signal });
}

/** Begins to restart the device, or to switch it off, once its services have ended. */
export async function endSystem(
  supervisor: SupervisorConnection,
  how: 'reboot' | 'shutdown',
  { force, signal }: ActionOptions,
): Promise<void> {
  await supervisorJson(supervisor, {
    method: 'POST',
    path: `/v1/${how}`,
    json: { force },
    signal,
    timeoutMs: containersMs,
  });
}

/** Has a Supervisor ask its cloud at once what the device is to run, instead of when its time comes. */
export async function fetchTargetState(supervisor: SupervisorConnection, signal: AbortSignal): Promise<void> {
  await supervisorJson(supervisor, { method: 'POST', path: '/v1/update', json: { force: false }, signal });
}

/** Restarts all services of an app. */
export async function restartApp(
  supervisor: SupervisorConnection,
  appId: string,
  { force, signal }: ActionOptions,
): Promise<void> {
  const path = `/v2/applications/${appId}/restart`;
  await supervisorJson(supervisor, { method: 'POST', path, json: { force }, signal, timeoutMs: containersMs });
}

/** Restarts, starts or stops one service of an app. */
export async function actOnService(
  supervisor: SupervisorConnection,
  { appId, name }: Pick<SupervisedService, 'appId' | 'name'>,
  action: ServiceAction,
  { force, signal }: ActionOptions,
): Promise<void> {
  const path = `/v2/applications/${appId}/${action}-service`;
  const json = { serviceName: name, force };
  await supervisorJson(supervisor, { method: 'POST', path, json, signal, timeoutMs: containersMs });
}

/** A service as the Supervisor reports it. */
export interface SupervisedService {
  readonly name: string;
  readonly appId: string;
  /** `Running`, `Installing`, … */
  readonly status: string;
}

/** The services of all apps that have a container, from `/v2/state/status`. */
export async function supervisedServices(
  supervisor: SupervisorConnection,
  signal: AbortSignal,
): Promise<readonly SupervisedService[]> {
  const answer = await supervisorJson(supervisor, { method: 'GET', path: '/v2/state/status', signal });
  const containers = isRecord(answer) && Array.isArray(answer.containers) ? answer.containers.filter(isRecord) : [];
  return containers.flatMap(({ serviceName, appId, status }) =>
    typeof serviceName === 'string' && /^\d+$/.test(String(appId))
      ? { name: serviceName, appId: String(appId), status: String(status) }
      : [],
  );
}
