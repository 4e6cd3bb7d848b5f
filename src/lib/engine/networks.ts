import { Failure } from '../failure/failure.js';
import { isJsonObject, type JsonObject } from '../platform/json.js';
import { textAt, textMapAt, valueAt } from './engine-answer.js';
import type { EngineConnection } from './engine-connection.js';
import { engineJson } from './engine-request.js';

/** A network on an engine. */
export interface EngineNetwork {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The body of `POST /networks/create` that makes such a network again, with the addresses that it has. */
  readonly spec: JsonObject;
}

/** All networks of the engine. */
export async function listNetworks(engine: EngineConnection, signal?: AbortSignal): Promise<EngineNetwork[]> {
  const answer = await engineJson(engine, { method: 'GET', path: '/networks', signal });
  return (Array.isArray(answer) ? answer : []).map((one: unknown) => ({
    id: textAt(one, 'Id'),
    name: textAt(one, 'Name'),
    labels: textMapAt(one, 'Labels'),
    spec: specOf(one),
  }));
}

const specKeys = ['Name', 'Driver', 'Internal', 'Attachable', 'EnableIPv6', 'IPAM', 'Options', 'Labels'] as const;

function specOf(network: unknown): JsonObject {
  if (!isJsonObject(network)) return {};
  return Object.fromEntries(specKeys.flatMap((key) => (network[key] === undefined ? [] : [[key, network[key]]])));
}

/** Creates a network and returns its ID; one of that name must not exist. */
export async function createNetwork(engine: EngineConnection, spec: JsonObject): Promise<string> {
  // Older engines would otherwise make a second network of the same name.
  const body = { json: { ...spec, CheckDuplicate: true } };
  return textAt(await engineJson(engine, { method: 'POST', path: '/networks/create', body }), 'Id');
}

/** Removes a network to which no running container is connected; one that is gone counts as removed. */
export async function removeNetwork(engine: EngineConnection, network: string): Promise<void> {
  try {
    await engineJson(engine, { method: 'DELETE', path: `/networks/${network}` });
  } catch (error) {
    if (!(error instanceof Failure && error.kind === 'not-found')) throw error;
  }
}

/**
 * Connects a container, running or not, to a network.
 *
 * @param endpoint an `EndpointSettings` of the API: aliases and addresses
 */
export async function connectNetwork(
  engine: EngineConnection,
  network: string,
  container: string,
  endpoint: JsonObject,
): Promise<void> {
  const body = { json: { Container: container, EndpointConfig: endpoint } };
  await engineJson(engine, { method: 'POST', path: `/networks/${network}/connect`, body });
}

/** Disconnects a container, running or not, from a network and returns with what `connectNetwork` connects it again. */
export async function disconnectNetwork(
  engine: EngineConnection,
  network: Pick<EngineNetwork, 'id' | 'name'>,
  container: string,
): Promise<JsonObject> {
  const details = await engineJson(engine, { method: 'GET', path: `/containers/${container}/json` });
  const endpoint = valueAt(details, 'NetworkSettings', 'Networks', network.name);
  const body = { json: { Container: container, Force: true } };
  await engineJson(engine, { method: 'POST', path: `/networks/${network.id}/disconnect`, body });
  if (!isJsonObject(endpoint)) return {};
  const kept = ['Aliases', 'IPAMConfig', 'Links', 'DriverOpts'] as const;
  return Object.fromEntries(kept.flatMap((key) => (endpoint[key] === undefined ? [] : [[key, endpoint[key]]])));
}
