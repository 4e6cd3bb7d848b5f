import { isRecord } from '../platform/json.js';
import type { SupervisorConnection } from './supervisor-connection.js';
import { supervisorJson } from './supervisor-request.js';

const path = '/v1/device/host-config';

/** The host name that a device has, in lower case; undefined where its Supervisor does not tell it. */
export async function supervisedHostname(
  supervisor: SupervisorConnection,
  signal: AbortSignal,
): Promise<string | undefined> {
  const answer = await supervisorJson(supervisor, { method: 'GET', path, signal });
  const hostname = isRecord(answer) && isRecord(answer.network) ? answer.network.hostname : undefined;
  return typeof hostname === 'string' && hostname !== '' ? hostname.toLowerCase() : undefined;
}

/** Gives a device another host name. The Supervisor writes it to config.json, and the OS follows. */
export async function setSupervisedHostname(
  supervisor: SupervisorConnection,
  hostname: string,
  { force, signal }: { readonly force: boolean; readonly signal: AbortSignal },
): Promise<void> {
  const json = { network: { hostname }, force };
  await supervisorJson(supervisor, { method: 'PATCH', path, json, signal, timeoutMs: 60_000 });
}
