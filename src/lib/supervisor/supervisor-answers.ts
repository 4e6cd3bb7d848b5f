import { Failure } from '../failure/failure.js';
import { limit } from '../platform/limit.js';
import type { SupervisorConnection } from './supervisor-connection.js';
import { supervisorJson } from './supervisor-request.js';

const patienceMs = 3000;

/**
 * Whether a balena Supervisor answers: `GET /ping` needs no key. A port that is closed, or kept closed by the device's
 * firewall outside local mode, counts as no.
 */
export async function supervisorAnswers(supervisor: SupervisorConnection, signal: AbortSignal): Promise<boolean> {
  const patience = limit(signal, patienceMs);
  try {
    return (await supervisorJson(supervisor, { method: 'GET', path: '/ping', signal: patience.signal })) === 'OK';
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Failure) return false;
    throw error;
  } finally {
    patience.end();
  }
}
