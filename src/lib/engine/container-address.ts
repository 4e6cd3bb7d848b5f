import { Failure } from '../failure/failure.js';
import { isRecord } from '../platform/json.js';
import { textAt, valueAt } from './engine-answer.js';
import type { EngineConnection } from './engine-connection.js';
import { engineJson } from './engine-request.js';

/** The address at which the engine's own host reaches a running container; its loopback for one that shares the network of the host. */
export async function containerAddress(
  engine: EngineConnection,
  container: string,
  signal: AbortSignal,
): Promise<string> {
  const answer = await engineJson(engine, { method: 'GET', path: `/containers/${container}/json`, signal });
  if (valueAt(answer, 'HostConfig', 'NetworkMode') === 'host') return '127.0.0.1';
  const networks = valueAt(answer, 'NetworkSettings', 'Networks');
  for (const network of isRecord(networks) ? Object.values(networks) : []) {
    const address = valueAt(network, 'IPAddress');
    if (typeof address === 'string' && address !== '') return address;
  }
  const name = textAt(answer, 'Name').replace(/^\//, '');
  throw new Failure('refused', 'container-without-address', `the container ${name} has no address of its own`, {
    hint: 'Tunnel to a port of the device, or of the container whose network it shares',
  });
}
