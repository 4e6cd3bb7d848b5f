import { Failure } from '../failure/failure.js';
import { isJsonObject, isRecord, type JsonObject } from '../platform/json.js';
import type { SupervisorConnection } from './supervisor-connection.js';
import { supervisorJson } from './supervisor-request.js';

const targetState = '/v2/local/target-state';

/** What a Supervisor says of its device. */
export interface SupervisedDevice {
  readonly deviceType: string | undefined;
  /** `aarch64`, `armv7hf`, `rpi`, `amd64` or `i386`. */
  readonly architecture: string | undefined;
}

/** The device's type and architecture, from `/v2/local/device-info`. */
export async function supervisedDevice(
  supervisor: SupervisorConnection,
  signal: AbortSignal,
): Promise<SupervisedDevice> {
  const answer = await supervisorJson(supervisor, { method: 'GET', path: '/v2/local/device-info', signal });
  const info = isRecord(answer) && isRecord(answer.info) ? answer.info : {};
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);
  return { deviceType: text(info.deviceType), architecture: text(info.arch) };
}

/**
 * Makes these apps the ones that the device is to run, in place of all others that were pushed to it. Name and configuration
 * of the device go back as they came: the switch for local mode is among them. The answer comes before anything is applied.
 *
 * @param apps in the shape of the version 2 target state, by app ID
 */
export async function setLocalApps(
  supervisor: SupervisorConnection,
  apps: JsonObject,
  signal: AbortSignal,
): Promise<void> {
  const state = await localState(supervisor, signal);
  await postLocalState(supervisor, { ...state, apps }, signal);
}

/** The local target state: name, configuration and apps of the device. */
export async function localState(supervisor: SupervisorConnection, signal: AbortSignal): Promise<JsonObject> {
  const answer = await supervisorJson(supervisor, { method: 'GET', path: targetState, signal });
  const state = isRecord(answer) && isRecord(answer.state) ? answer.state.local : undefined;
  if (isJsonObject(state)) return state;
  const message = `${supervisor.description} gives no local target state`;
  throw new Failure('failed', 'supervisor-answer', message);
}

/** Posts a local target state, which a Supervisor takes in local mode only. */
export async function postLocalState(
  supervisor: SupervisorConnection,
  local: JsonObject,
  signal: AbortSignal,
): Promise<void> {
  try {
    await supervisorJson(supervisor, { method: 'POST', path: targetState, json: { local }, signal });
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'supervisor-refused') throw error;
    const hint = 'The device accepts projects only in local mode: see davit device local-mode';
    throw new Failure('refused', 'supervisor-refused', error.message, { cause: error, hint });
  }
}

/** What a Supervisor is doing, in its own words: `applied` and the status of each service by name. */
export interface ApplyStatus {
  readonly isApplied: boolean;
  readonly services: ReadonlyMap<string, string>;
}

/** How far the target state has been applied, from `/v2/state/status`. */
export async function applyStatus(supervisor: SupervisorConnection, signal: AbortSignal): Promise<ApplyStatus> {
  const answer = await supervisorJson(supervisor, { method: 'GET', path: '/v2/state/status', signal });
  const containers = isRecord(answer) && Array.isArray(answer.containers) ? answer.containers.filter(isRecord) : [];
  return {
    isApplied: isRecord(answer) && answer.appState === 'applied',
    services: new Map(containers.map(({ serviceName, status }) => [String(serviceName), String(status)])),
  };
}
