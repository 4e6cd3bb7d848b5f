import { Failure } from '../failure/failure.js';
import { isRecord } from '../platform/json.js';
import type { SupervisorConnection } from '../supervisor/supervisor-connection.js';
import { supervisorJson } from '../supervisor/supervisor-request.js';
import type { Device } from './device.js';
import { runOnHost } from './run-on-host.js';

/**
 * What tells one start of a device from every other: 32 hexadecimal digits that the kernel makes. A Supervisor on an open port tells it
 * through the journal, everything else through SSH. Undefined where the Supervisor has no journal to show and nobody may log in.
 */
export async function readBootId(device: Device, signal: AbortSignal): Promise<string | undefined> {
  const supervisor = await device.supervisor({ mayLogIn: false });
  const told = supervisor === undefined ? undefined : await bootIdInJournal(supervisor, signal);
  if (told !== undefined) return told;
  try {
    const script = 'cat /proc/sys/kernel/random/boot_id';
    return bootIdIn(await runOnHost(device, { doing: `asking ${device.name} since when it runs`, script }));
  } catch (error) {
    if (supervisor !== undefined && error instanceof Failure && error.kind !== 'interrupted') return undefined;
    throw error;
  }
}

/** The journal's fields are those of systemd.journal-fields(7). */
async function bootIdInJournal(supervisor: SupervisorConnection, signal: AbortSignal): Promise<string | undefined> {
  const json = { all: true, follow: false, count: 1, format: 'json' };
  try {
    const entry = await supervisorJson(supervisor, { method: 'POST', path: '/v2/journal-logs', json, signal });
    return isRecord(entry) && typeof entry._BOOT_ID === 'string' ? bootIdIn(entry._BOOT_ID) : undefined;
  } catch (error) {
    // Supervisors of old have no journal to show.
    if (error instanceof Failure && error.kind !== 'interrupted' && error.kind !== 'unreachable') return undefined;
    throw error;
  }
}

function bootIdIn(text: string): string | undefined {
  return /^[0-9a-f]{32}$/.exec(text.trim().replaceAll('-', ''))?.[0];
}
