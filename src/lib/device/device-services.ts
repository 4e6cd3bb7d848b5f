import { factText } from '../discovery/device-facts.js';
import { listAt, numberAt, valueAt } from '../engine/engine-answer.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { engineJson } from '../engine/engine-request.js';
import { serviceOfContainer } from '../engine/find-service.js';
import { supervisedServices } from '../supervisor/actions.js';
import type { SupervisorConnection } from '../supervisor/supervisor-connection.js';

/** A service of a device. */
export interface DeviceService {
  readonly name: string;
  /** `running`, `exited`, …, or what the Supervisor calls it. */
  readonly state: string;
  /** The state in the engine's words: `Up 3 hours (healthy)`. */
  readonly status: string | null;
  readonly image: string | null;
  readonly containerId: string | null;
  /** When its container was made: an ISO 8601 time. */
  readonly createdAt: string | null;
}

/** The services that an engine has containers of. */
export async function servicesOfEngine(
  engine: EngineConnection,
  signal: AbortSignal,
): Promise<readonly DeviceService[]> {
  const answer = await engineJson(engine, { method: 'GET', path: '/containers/json', query: { all: true }, signal });
  const services = (Array.isArray(answer) ? answer : []).flatMap((one: unknown) => {
    const [container] = listAt(one, 'Names');
    const name = typeof container === 'string' ? serviceOfContainer(container.replace(/^\//, '')) : undefined;
    if (name === undefined) return [];
    const created = numberAt(one, 'Created');
    return {
      name,
      state: textOf(valueAt(one, 'State')) ?? 'unknown',
      status: textOf(valueAt(one, 'Status')),
      image: textOf(valueAt(one, 'Image')),
      containerId: textOf(valueAt(one, 'Id')),
      createdAt: created === undefined ? null : new Date(created * 1000).toISOString(),
    };
  });
  return services.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The same by what the Supervisor reports. */
export async function servicesOfSupervisor(
  supervisor: SupervisorConnection,
  signal: AbortSignal,
): Promise<readonly DeviceService[]> {
  const services = await supervisedServices(supervisor, signal);
  const nothingMore = { status: null, image: null, containerId: null, createdAt: null };
  return services.map(({ name, status }) => ({ name, state: status.toLowerCase(), ...nothingMore }));
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? factText(value) : null;
}
