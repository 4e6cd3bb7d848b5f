import { Failure } from '../failure/failure.js';
import { isUuid } from '../platform/uuid.js';
import type { SshConnection } from './ssh-connection.js';

/**
 * The UUID that a device has, from its config.json; undefined on anything else than a balenaOS device. Nothing but the UUID is read:
 * the file holds keys.
 */
export async function readUuid(connection: SshConnection): Promise<string | undefined> {
  const script = `sed -n 's/.*"uuid"[[:space:]]*:[[:space:]]*"\\([0-9a-f]*\\)".*/\\1/p' /mnt/boot/config.json`;
  try {
    const { exitCode, stdout } = await connection.run(script);
    const uuid = stdout.trim();
    return exitCode === 0 && isUuid(uuid) ? uuid : undefined;
  } catch (error) {
    // A server that runs no commands for us may still forward ports.
    if (error instanceof Failure && error.code === 'ssh-channel-refused') return undefined;
    throw error;
  }
}
