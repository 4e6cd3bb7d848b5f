import { Failure } from '../failure/failure.js';
import { isRecord } from '../platform/json.js';
import { supervisedHostname } from './host-config.js';
import { isInLocalMode } from './local-mode.js';
import type { SupervisorConnection } from './supervisor-connection.js';
import { supervisorJson } from './supervisor-request.js';

/** What a Supervisor says of itself and its work. What it does not tell is null. */
export interface SupervisorReport {
  readonly hostname: string | null;
  /** Whether it obeys without a key: in local mode, and on a device without a fleet. */
  readonly isInLocalMode: boolean | null;
  /** `Idle`, `Downloading`, … */
  readonly status: string | null;
  /** The release that runs. */
  readonly commit: string | null;
  /** Whether a newer release is to come, is there already, or could not be installed. */
  readonly update: 'none' | 'pending' | 'downloaded' | 'failed' | null;
  /** How far a download is, in percent. */
  readonly downloadProgress: number | null;
}

/** Asks a Supervisor for its report; whatever it does not let us know is left out. */
export async function supervisorReport(
  supervisor: SupervisorConnection,
  signal: AbortSignal,
): Promise<SupervisorReport> {
  const path = '/v1/device';
  const [hostname, isLocal, device] = await Promise.all([
    ifTold(supervisedHostname(supervisor, signal)),
    ifTold(isInLocalMode(supervisor, signal)),
    ifTold(supervisorJson(supervisor, { method: 'GET', path, signal })),
  ]);
  const told = isRecord(device) ? device : {};
  const { status, commit, download_progress: progress } = told;
  return {
    hostname: hostname ?? null,
    isInLocalMode: isLocal ?? null,
    status: typeof status === 'string' ? status : null,
    commit: typeof commit === 'string' && commit !== '' ? commit : null,
    update: updateIn(told),
    downloadProgress: typeof progress === 'number' ? progress : null,
  };
}

function updateIn(device: Record<string, unknown>): SupervisorReport['update'] {
  if (device.update_failed === true) return 'failed';
  if (device.update_downloaded === true) return 'downloaded';
  if (device.update_pending === true) return 'pending';
  return device.update_pending === false ? 'none' : null;
}

/** What is told, or undefined where the Supervisor does not tell it. */
export async function ifTold<T>(telling: Promise<T>): Promise<T | undefined> {
  try {
    return await telling;
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}
