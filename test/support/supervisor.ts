import { once } from 'node:events';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { createContainer, listContainers, removeContainer, startContainer } from '../../src/lib/engine/containers.js';
import { listAt, textAt, textMapAt, valueAt } from '../../src/lib/engine/engine-answer.js';
import type { EngineConnection } from '../../src/lib/engine/engine-connection.js';
import { engineJson } from '../../src/lib/engine/engine-request.js';
import { findImage } from '../../src/lib/engine/images.js';
import { isRecord } from '../../src/lib/platform/json.js';

/** How the stand-in behaves. */
export interface SupervisorOptions {
  /** Without one, accepted target states come to nothing. */
  readonly engine?: EngineConnection;
  readonly deviceType?: string;
  readonly architecture?: string;
  /** Outside local mode a Supervisor refuses a target state with status 400. */
  readonly isInLocalMode?: boolean;
  /** Accepts target states and never applies them. */
  readonly isStuck?: boolean;
  /** What outside local mode everything but `/ping` asks for; without it, the device belongs to no fleet. */
  readonly apiKey?: string;
  /** A service holds an update lock, which only `force` overrides. */
  readonly isLocked?: boolean;
  /** What it reports of containers in `/v2/state/status`. */
  readonly containers?: readonly object[];
  /** What else it answers, by method and path: a body, or a status with a body. */
  readonly answers?: Readonly<Record<string, (body: unknown) => Answered>>;
}

/** An answer of the stand-in. */
export interface Answered {
  readonly status?: number;
  readonly body: unknown;
}

/** A request that the stand-in was sent. */
export interface SupervisorCall {
  /** `POST /v1/reboot` */
  readonly asked: string;
  readonly body: unknown;
  readonly authorization: string | undefined;
}

/** A stand-in for a balena Supervisor, which cannot be had here: the part of its API that davit uses, acting on a real engine. */
export interface FakeSupervisor {
  readonly port: number;
  /** Every target state that was posted and accepted. */
  readonly accepted: readonly unknown[];
  /** Everything that was asked, apart from `/ping`. */
  readonly calls: readonly SupervisorCall[];
  /** Lets it behave in another way from now on. */
  readonly change: (options: Partial<SupervisorOptions>) => void;
  readonly close: () => Promise<void>;
}

/** Starts the stand-in on a free port of 127.0.0.1. The state it holds beside its apps has to come back unchanged. */
export async function startSupervisor(first: SupervisorOptions): Promise<FakeSupervisor> {
  let options = first;
  const accepted: unknown[] = [];
  const calls: SupervisorCall[] = [];
  const local = { name: 'crane', config: { SUPERVISOR_LOCAL_MODE: '1' }, apps: { 1: { commit: 'internal shape' } } };
  const applying = new Set<Promise<void>>();
  const success = (more: object): Answered => ({ body: { status: 'success', ...more } });
  const failed = (status: number, message: string): Answered => ({ status, body: { status: 'failed', message } });
  const usual: Readonly<Record<string, (body: unknown) => Answered>> = {
    'GET /v2/local/device-info': () => {
      const { deviceType = 'raspberrypi4-64', architecture = 'aarch64' } = options;
      return success({ info: { arch: architecture, deviceType } });
    },
    'GET /v2/local/target-state': () => success({ state: { local } }),
    'GET /v2/state/status': () =>
      success({
        appState: applying.size > 0 ? 'applying' : 'applied',
        containers: options.containers ?? [{ serviceName: 'main', status: 'Installing' }],
      }),
    'POST /v2/local/target-state': (body) => {
      if (options.isInLocalMode === false) return failed(400, 'Target state can only set when device is in local mode');
      accepted.push(body);
      const { engine } = options;
      if (options.isStuck !== true && engine !== undefined) {
        const work = apply(engine, body).finally(() => applying.delete(work));
        applying.add(work);
      }
      return success({ message: 'OK' });
    },
  };
  const answerTo = ({ asked, body, authorization }: SupervisorCall): Answered => {
    const isOpen = options.isInLocalMode !== false || options.apiKey === undefined;
    if (!isOpen && authorization !== `Bearer ${options.apiKey ?? ''}`) return { status: 401, body: 'Unauthorized' };
    const isForced = isRecord(body) && body.force === true;
    if (
      options.isLocked === true &&
      /reboot|shutdown|restart|stop|host-config$/.test(asked) &&
      !asked.startsWith('GET')
    ) {
      if (!isForced) return { status: 423, body: { Data: '', Error: 'Updates are locked' } };
    }
    return (options.answers?.[asked] ?? usual[asked])?.(body) ?? failed(404, 'no such thing');
  };
  const server = createServer((request, response) => {
    const asked = `${request.method ?? ''} ${request.url ?? ''}`;
    if (asked === 'GET /ping') {
      response.end('OK');
      return;
    }
    void text(request).then((sent) => {
      const call: SupervisorCall = {
        asked,
        body: sent === '' ? undefined : (JSON.parse(sent) as unknown),
        authorization: request.headers.authorization,
      };
      calls.push(call);
      const { status = 200, body } = answerTo(call);
      const isText = typeof body === 'string';
      response.writeHead(status, { 'content-type': isText ? 'text/plain' : 'application/json' });
      response.end(isText ? body : JSON.stringify(body));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    accepted,
    calls,
    change: (changes) => {
      options = { ...options, ...changes };
    },
    close: async () => {
      await Promise.allSettled(applying);
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Replaces containers whose tag names another image than the one they were made of, or that differ otherwise; removes those not asked for. */
async function apply(engine: EngineConnection, body: unknown): Promise<void> {
  const services = valueAt(body, 'local', 'apps', '1', 'services');
  const wanted = isRecord(services) ? Object.values(services) : [];
  const nameOf = (service: unknown) => {
    return `${textAt(service, 'serviceName')}_${String(valueAt(service, 'imageId'))}_1_10ca12e1ea5e`;
  };
  const names = wanted.map(nameOf);
  for (const { id, name } of await listContainers(engine))
    if (name.endsWith('_10ca12e1ea5e') && !names.includes(name)) await removeContainer(engine, id);
  for (const service of wanted) {
    const name = nameOf(service);
    const image = await findImage(engine, textAt(service, 'image'));
    const before = (await listContainers(engine)).find((one) => one.name === name);
    const labels = { ...textMapAt(service, 'labels'), 'io.balena.supervised': 'true', 'io.balena.app-id': '1' };
    const hasLabels = Object.entries(labels).every(([key, value]) => before?.labels[key] === value);
    const Env = Object.entries(textMapAt(service, 'environment')).map(([key, value]) => `${key}=${value}`);
    const isSame = before?.imageId === image && hasLabels && (await hasVariables(engine, before?.id, Env));
    if (image === undefined || isSame) continue;
    if (before !== undefined) await removeContainer(engine, before.id);
    const command = listAt(service, 'command').map(String);
    const mode = valueAt(service, 'network_mode');
    const id = await createContainer(engine, name, {
      Image: image,
      Env,
      ...(command.length > 0 ? { Cmd: command } : {}),
      Labels: labels,
      Tty: valueAt(service, 'tty') === true,
      HostConfig: {
        ...(typeof mode === 'string' ? { NetworkMode: mode } : {}),
        Binds: listAt(service, 'volumes').map((volume) => `1_${String(volume)}`),
      },
    });
    // One that does not start is tried again for ever; here, once is enough.
    await startContainer(engine, id).catch(() => undefined);
  }
}

async function hasVariables(
  engine: EngineConnection,
  container: string | undefined,
  wanted: readonly string[],
): Promise<boolean> {
  if (container === undefined) return false;
  const details = await engineJson(engine, { method: 'GET', path: `/containers/${container}/json` });
  const present = listAt(details, 'Config', 'Env');
  return wanted.every((one) => present.includes(one));
}
