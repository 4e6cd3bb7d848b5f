import { Failure } from '../failure/failure.js';
import type { JsonObject } from '../platform/json.js';
import { listAt, textAt, textMapAt } from './engine-answer.js';
import type { EngineConnection } from './engine-connection.js';
import { engineJson } from './engine-request.js';

/** A named volume on an engine. */
export interface EngineVolume {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** All volumes of the engine, those without a name of their own among them. */
export async function listVolumes(engine: EngineConnection, signal?: AbortSignal): Promise<EngineVolume[]> {
  const answer = await engineJson(engine, { method: 'GET', path: '/volumes', signal });
  return listAt(answer, 'Volumes').map((one) => ({ name: textAt(one, 'Name'), labels: textMapAt(one, 'Labels') }));
}

/**
 * Makes sure that a volume exists; one that exists keeps its contents, options and labels.
 *
 * @param spec the body of the API's `POST /volumes/create`
 */
export async function createVolume(engine: EngineConnection, spec: JsonObject): Promise<void> {
  await engineJson(engine, { method: 'POST', path: '/volumes/create', body: { json: spec } });
}

/** Removes a volume with everything in it. True when it is gone, false when a container still has it. */
export async function removeVolume(engine: EngineConnection, name: string): Promise<boolean> {
  try {
    await engineJson(engine, { method: 'DELETE', path: `/volumes/${encodeURIComponent(name)}` });
    return true;
  } catch (error) {
    if (error instanceof Failure && error.kind === 'not-found') return true;
    if (error instanceof Failure && error.kind === 'refused') return false;
    throw error;
  }
}
