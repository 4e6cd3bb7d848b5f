import type { EngineConnection } from '../engine/engine-connection.js';
import { Failure } from '../failure/failure.js';
import type { Device } from './device.js';

/** Where engines listen on the device itself: balenaEngine, then Docker. */
const engineSockets = ['/var/run/balena-engine.sock', '/var/run/docker.sock'];

/**
 * The engine of a device at its socket, through SSH. Fails as unreachable when there is none.
 *
 * @param closedPort the port at which it was looked for before
 */
export async function engineOverSsh(
  device: Pick<Device, 'name' | 'ssh'>,
  closedPort?: number,
): Promise<EngineConnection> {
  const ssh = await device.ssh();
  for (const socketPath of engineSockets) {
    try {
      (await ssh.openUnixSocket(socketPath)).destroy();
    } catch {
      continue;
    }
    return {
      description: `${socketPath} of ${device.name} over SSH`,
      connect: async () => (await device.ssh()).openUnixSocket(socketPath),
    };
  }
  const closed = closedPort === undefined ? '' : `, and its port ${closedPort} is closed`;
  const message = `${device.name} has no engine at ${engineSockets.join(' or ')}${closed}`;
  throw new Failure('unreachable', 'engine-not-found', message, {
    hint: `See whether it runs: davit ssh ${device.name} -- systemctl status balena docker`,
  });
}
