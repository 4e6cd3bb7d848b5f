import { listContainers } from '../engine/containers.js';
import { listAt } from '../engine/engine-answer.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { engineJson } from '../engine/engine-request.js';
import { Failure } from '../failure/failure.js';

const label = 'io.balena.features.supervisor-api';

/**
 * A key for the API of a device's Supervisor, which gives one to every service that has the label `io.balena.features.supervisor-api`.
 * The engine tells it, so that no program on the device sees it. Undefined where no service has one.
 */
export async function readSupervisorKey(engine: EngineConnection, signal: AbortSignal): Promise<string | undefined> {
  for (const { id, labels } of await listContainers(engine, signal)) {
    if (!isTrue(labels[label])) continue;
    const details = await engineJson(engine, { method: 'GET', path: `/containers/${id}/json`, signal }).catch(
      (error: unknown) => {
        // The container may have been replaced meanwhile.
        if (error instanceof Failure && error.kind === 'not-found') return undefined;
        throw error;
      },
    );
    for (const variable of listAt(details, 'Config', 'Env')) {
      const key = /^(?:BALENA|RESIN)_SUPERVISOR_API_KEY=([\x21-\x7e]+)$/.exec(String(variable))?.[1];
      if (key !== undefined) return key;
    }
  }
  return undefined;
}

/** What the Supervisor takes for the value of a label that is set. */
function isTrue(value: string | undefined): boolean {
  return value !== undefined && ['1', 'true', 'on'].includes(value);
}
