import { Failure } from '../failure/failure.js';
import type { SupervisorConnection } from '../supervisor/supervisor-connection.js';
import type { Device } from './device.js';

/** The way to the Supervisor of a device that has to have one; fails as not found. */
export async function requireSupervisor(device: Device): Promise<SupervisorConnection> {
  const supervisor = await device.supervisor();
  if (supervisor !== undefined) return supervisor;
  throw new Failure('not-found', 'no-supervisor', `${device.name} has no Supervisor, or it does not answer`, {
    hint: `See whether it runs: davit ssh ${device.name} -- systemctl status balena-supervisor`,
  });
}
