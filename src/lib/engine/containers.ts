import { Failure } from '../failure/failure.js';
import type { JsonObject } from '../platform/json.js';
import { listAt, numberAt, textAt, textMapAt, valueAt } from './engine-answer.js';
import type { EngineConnection } from './engine-connection.js';
import { engineJson } from './engine-request.js';

/** One line of the engine's list of containers. */
export interface ContainerSummary {
  readonly id: string;
  /** Without the leading slash of the API. */
  readonly name: string;
  readonly imageId: string;
  /** `created`, `running`, `restarting`, `exited`, … */
  readonly state: string;
  /** Of one that has ended. */
  readonly exitCode: number | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /** Names of the networks that it is on, whether it runs or not. */
  readonly networks: readonly string[];
}

/** What is known about one container. */
export interface ContainerDetails {
  readonly id: string;
  readonly name: string;
  readonly imageId: string;
  /** Whether its output is a terminal's: one stream, not two. */
  readonly hasTerminal: boolean;
  /** `created`, `running`, `restarting`, `exited`, … */
  readonly state: string;
  readonly exitCode: number | undefined;
  readonly restarts: number;
  /** RFC 3339 with nanoseconds. */
  readonly startedAt: string;
  /** `starting`, `healthy` or `unhealthy`; undefined for one without a health check. */
  readonly health: string | undefined;
  /** What the last health check printed. */
  readonly healthOutput: string | undefined;
}

/** All containers of the engine, running or not. */
export async function listContainers(engine: EngineConnection, signal?: AbortSignal): Promise<ContainerSummary[]> {
  const answer = await engineJson(engine, { method: 'GET', path: '/containers/json', query: { all: true }, signal });
  return (Array.isArray(answer) ? answer : []).map((one: unknown) => {
    const names: unknown = valueAt(one, 'Names');
    const name = Array.isArray(names) && typeof names[0] === 'string' ? names[0] : '';
    return {
      id: textAt(one, 'Id'),
      name: name.replace(/^\//, ''),
      imageId: textAt(one, 'ImageID'),
      state: textAt(one, 'State'),
      exitCode: exitCodeIn(valueAt(one, 'Status')),
      labels: textMapAt(one, 'Labels'),
      networks: Object.keys(textMapAt(one, 'NetworkSettings', 'Networks')),
    };
  });
}

/** The list tells it only in words: `Exited (3) 2 hours ago`. */
function exitCodeIn(status: unknown): number | undefined {
  const code = typeof status === 'string' ? /^Exited \((\d+)\)/.exec(status)?.[1] : undefined;
  return code === undefined ? undefined : Number(code);
}

/** One container by ID or name; fails as not found. */
export async function inspectContainer(
  engine: EngineConnection,
  container: string,
  signal?: AbortSignal,
): Promise<ContainerDetails> {
  const answer = await engineJson(engine, { method: 'GET', path: `/containers/${container}/json`, signal });
  return {
    id: textAt(answer, 'Id'),
    name: textAt(answer, 'Name').replace(/^\//, ''),
    imageId: textAt(answer, 'Image'),
    hasTerminal: valueAt(answer, 'Config', 'Tty') === true,
    state: textAt(answer, 'State', 'Status'),
    exitCode: numberAt(answer, 'State', 'ExitCode'),
    restarts: numberAt(answer, 'RestartCount') ?? 0,
    startedAt: textAt(answer, 'State', 'StartedAt'),
    ...healthOf(answer),
  };
}

function healthOf(answer: unknown): Pick<ContainerDetails, 'health' | 'healthOutput'> {
  const status = valueAt(answer, 'State', 'Health', 'Status');
  const output = valueAt(listAt(answer, 'State', 'Health', 'Log').at(-1), 'Output');
  return {
    health: typeof status === 'string' && status !== 'none' ? status : undefined,
    healthOutput: typeof output === 'string' && output.trim() !== '' ? output.trim() : undefined,
  };
}

/**
 * Creates a container and returns its ID; nothing runs yet. Without a name, the engine makes one up.
 *
 * @param spec the body of the API's `POST /containers/create`
 */
export async function createContainer(
  engine: EngineConnection,
  name: string | undefined,
  spec: JsonObject,
  signal?: AbortSignal,
): Promise<string> {
  const request = {
    method: 'POST',
    path: '/containers/create',
    query: { name },
    body: { json: spec },
    signal,
  } as const;
  return textAt(await engineJson(engine, request), 'Id');
}

/** Starts a container; one that runs already stays as it is. */
export async function startContainer(engine: EngineConnection, container: string, signal?: AbortSignal): Promise<void> {
  await engineJson(engine, { method: 'POST', path: `/containers/${container}/start`, signal, timeoutMs: 120_000 });
}

/** Asks a container to stop and waits, with the container's own grace period before it is killed. */
export async function stopContainer(engine: EngineConnection, container: string, signal?: AbortSignal): Promise<void> {
  await engineJson(engine, { method: 'POST', path: `/containers/${container}/stop`, signal, timeoutMs: Infinity });
}

/**
 * Stops a container and starts it again; one that does not run is started.
 *
 * @param graceSeconds how long it may take to stop before it is killed; its own grace period without it
 */
export async function restartContainer(
  engine: EngineConnection,
  container: string,
  signal?: AbortSignal,
  graceSeconds?: number,
): Promise<void> {
  const request = { path: `/containers/${container}/restart`, query: { t: graceSeconds }, timeoutMs: Infinity };
  await engineJson(engine, { method: 'POST', ...request, signal });
}

/** Gives a container another name. */
export async function renameContainer(
  engine: EngineConnection,
  container: string,
  name: string,
  signal?: AbortSignal,
): Promise<void> {
  await engineJson(engine, { method: 'POST', path: `/containers/${container}/rename`, query: { name }, signal });
}

/**
 * Removes a container, running or not, with its anonymous volumes; named volumes stay. One that is gone, or that somebody
 * else is removing, counts as removed.
 */
export async function removeContainer(
  engine: EngineConnection,
  container: string,
  signal?: AbortSignal,
): Promise<void> {
  const query = { force: true, v: true };
  try {
    await engineJson(engine, { method: 'DELETE', path: `/containers/${container}`, query, signal, timeoutMs: 120_000 });
  } catch (error) {
    // With `force`, "removal is already in progress" is the only conflict there is.
    if (!(error instanceof Failure) || (error.kind !== 'not-found' && error.kind !== 'refused')) throw error;
  }
}
