import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { createContainer, listContainers, removeContainer, startContainer } from '../../src/lib/engine/containers.js';
import { listAt, textAt, textMapAt, valueAt } from '../../src/lib/engine/engine-answer.js';
import type { EngineConnection } from '../../src/lib/engine/engine-connection.js';
import { engineJson } from '../../src/lib/engine/engine-request.js';
import { findImage } from '../../src/lib/engine/images.js';
import { isRecord } from '../../src/lib/platform/json.js';

/** How the stand-in behaves. */
export interface SupervisorOptions {
  readonly engine: EngineConnection;
  readonly deviceType?: string;
  readonly architecture?: string;
  /** Outside local mode a Supervisor refuses a target state with status 400. */
  readonly isInLocalMode?: boolean;
  /** Accepts target states and never applies them. */
  readonly isStuck?: boolean;
}

/** A stand-in for a balena Supervisor, which cannot be had here: the part of its API that davit uses, acting on a real engine. */
export interface FakeSupervisor {
  readonly port: number;
  /** Every target state that was posted and accepted. */
  readonly accepted: readonly unknown[];
  readonly close: () => Promise<void>;
}

/** Starts the stand-in on a free port. The state it holds beside its apps has to come back unchanged. */
export async function startSupervisor(options: SupervisorOptions): Promise<FakeSupervisor> {
  const { engine, deviceType = 'raspberrypi4-64', architecture = 'aarch64' } = options;
  const accepted: unknown[] = [];
  const local = { name: 'crane', config: { SUPERVISOR_LOCAL_MODE: '1' }, apps: { 1: { commit: 'internal shape' } } };
  const applying = new Set<Promise<void>>();
  const answer = (response: ServerResponse, status: number, body: unknown) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const server = createServer((request, response) => {
    const asked = `${request.method ?? ''} ${request.url ?? ''}`;
    if (asked === 'GET /ping') response.end('OK');
    else if (asked === 'GET /v2/local/device-info')
      answer(response, 200, { status: 'success', info: { arch: architecture, deviceType } });
    else if (asked === 'GET /v2/local/target-state') answer(response, 200, { status: 'success', state: { local } });
    else if (asked === 'GET /v2/state/status')
      answer(response, 200, {
        status: 'success',
        appState: applying.size > 0 ? 'applying' : 'applied',
        containers: [{ serviceName: 'main', status: 'Installing' }],
      });
    else if (asked === 'POST /v2/local/target-state') {
      void json(request).then((body) => {
        if (options.isInLocalMode === false) {
          const message = 'Target state can only set when device is in local mode';
          answer(response, 400, { status: 'failed', message });
          return;
        }
        accepted.push(body);
        answer(response, 200, { status: 'success', message: 'OK' });
        if (options.isStuck === true) return;
        const work = apply(engine, body).finally(() => applying.delete(work));
        applying.add(work);
      });
    } else answer(response, 404, {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    accepted,
    close: async () => {
      await Promise.allSettled(applying);
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Replaces a service's container when its tag names another image than the one it was made of, or its variables differ. */
async function apply(engine: EngineConnection, body: unknown): Promise<void> {
  const services = valueAt(body, 'local', 'apps', '1', 'services');
  for (const service of isRecord(services) ? Object.values(services) : []) {
    const name = `${textAt(service, 'serviceName')}_${String(valueAt(service, 'imageId'))}_1_10ca12e1ea5e`;
    const image = await findImage(engine, textAt(service, 'image'));
    const before = (await listContainers(engine)).find((one) => one.name === name);
    const Env = Object.entries(textMapAt(service, 'environment')).map(([key, value]) => `${key}=${value}`);
    if (image === undefined || (before?.imageId === image && (await hasVariables(engine, before.id, Env)))) continue;
    if (before !== undefined) await removeContainer(engine, before.id);
    const id = await createContainer(engine, name, {
      Image: image,
      Env,
      Labels: textMapAt(service, 'labels'),
      Tty: valueAt(service, 'tty') === true,
      HostConfig: {
        NetworkMode: textAt(service, 'network_mode'),
        Binds: listAt(service, 'volumes').map((volume) => `1_${String(volume)}`),
      },
    });
    await startContainer(engine, id);
  }
}

async function hasVariables(engine: EngineConnection, container: string, wanted: readonly string[]): Promise<boolean> {
  const details = await engineJson(engine, { method: 'GET', path: `/containers/${container}/json` });
  const present = listAt(details, 'Config', 'Env');
  return wanted.every((one) => present.includes(one));
}
