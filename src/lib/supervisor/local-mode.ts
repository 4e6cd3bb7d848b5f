import { Failure } from '../failure/failure.js';
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js';
import { localState, postLocalState } from './local-state.js';
import type { SupervisorConnection } from './supervisor-connection.js';
import { supervisorJson } from './supervisor-request.js';

/** Whether a Supervisor obeys without a key, which it does in local mode and on a device that belongs to no fleet. */
export async function isInLocalMode(supervisor: SupervisorConnection, signal: AbortSignal): Promise<boolean> {
  try {
    await supervisorJson(supervisor, { method: 'GET', path: '/v2/local/device-info', signal, withoutKey: true });
    return true;
  } catch (error) {
    if (error instanceof Failure && error.code === 'supervisor-denied') return false;
    throw error;
  }
}

/** The switch for local mode in the configuration of a device; the cloud's name for it has a prefix. */
const switchName = /^(?:(?:BALENA|RESIN)_)?SUPERVISOR_LOCAL_MODE$/;

/**
 * Whether local mode of a device that is in it can be switched off: a device that belongs to no fleet has no switch, it is always in local
 * mode.
 */
export async function hasLocalModeSwitch(supervisor: SupervisorConnection, signal: AbortSignal): Promise<boolean> {
  return Object.keys(configIn(await localState(supervisor, signal))).some((name) => switchName.test(name));
}

/**
 * Has a Supervisor leave local mode, for which it deletes all that was made in it. It answers before it begins, and then closes its port.
 */
export async function leaveLocalMode(supervisor: SupervisorConnection, signal: AbortSignal): Promise<void> {
  const state = await localState(supervisor, signal);
  const config = Object.entries<Json>(configIn(state)).map(([name, value]): [string, Json] => [
    name,
    switchName.test(name) ? '0' : value,
  ]);
  await postLocalState(supervisor, { ...state, config: Object.fromEntries(config), apps: {} }, signal);
}

function configIn({ config }: JsonObject): JsonObject {
  return config !== undefined && isJsonObject(config) ? config : {};
}
