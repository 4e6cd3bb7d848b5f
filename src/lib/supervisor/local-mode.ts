import { Failure } from '../failure/failure.js';
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
