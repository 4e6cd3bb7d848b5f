import { Failure } from '../failure/failure.js';
import { type ContainerDetails, inspectContainer, listContainers } from './containers.js';
import type { EngineConnection } from './engine-connection.js';

/** The service whose container has this name, whoever named it so, or undefined for containers of other origin. */
export function serviceOfContainer(name: string): string | undefined {
  return /^([a-zA-Z0-9][a-zA-Z0-9_.-]*?)_\d+_\d+(?:_.+)?$/.exec(name)?.[1];
}

/** The container of a service, the running one if there are several; fails as not found, naming the services that there are. */
export async function findService(
  engine: EngineConnection,
  service: string,
  signal: AbortSignal,
): Promise<ContainerDetails> {
  const all = await listContainers(engine, signal);
  const candidates = all.filter((one) => serviceOfContainer(one.name) === service);
  const found = candidates.find((one) => one.state === 'running') ?? candidates[0];
  if (found !== undefined) return inspectContainer(engine, found.id, signal);
  const names = new Set(all.map((one) => serviceOfContainer(one.name)).filter((name) => name !== undefined));
  throw new Failure('not-found', 'service-not-found', `the device has no container of the service "${service}"`, {
    hint: names.size > 0 ? `It has ${[...names].sort().join(', ')}` : 'Push a project to it first: davit push',
  });
}

/** The container of a service that runs; fails as refused when it does not. */
export async function findRunningService(
  engine: EngineConnection,
  service: string,
  signal: AbortSignal,
): Promise<ContainerDetails> {
  const container = await findService(engine, service, signal);
  if (container.state === 'running') return container;
  const message = `the container of the service "${service}" does not run (${container.state})`;
  throw new Failure('refused', 'service-not-running', message, { hint: 'davit logs shows what it said last' });
}
