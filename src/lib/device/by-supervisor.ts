import { Failure } from '../failure/failure.js';
import type { SupervisorConnection } from '../supervisor/supervisor-connection.js';
import type { Device } from './device.js';

/** Why something is not done by the Supervisor: there is none, or it wants a key that the device has none of. */
export type WithoutSupervisor = 'absent' | 'denied';

/** Has the Supervisor do something that the host can do as well, where there is no Supervisor or it does not let us. */
export async function bySupervisor<T>(
  device: Pick<Device, 'supervisor'>,
  ask: (supervisor: SupervisorConnection) => Promise<T>,
  otherwise: (reason: WithoutSupervisor) => Promise<T>,
): Promise<T> {
  const supervisor = await device.supervisor();
  if (supervisor === undefined) return otherwise('absent');
  try {
    return await ask(supervisor);
  } catch (error) {
    if (error instanceof Failure && error.code === 'supervisor-denied') return otherwise('denied');
    throw error;
  }
}
