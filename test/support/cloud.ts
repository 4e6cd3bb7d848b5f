import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { createServer as createTlsServer } from 'node:tls';
import type { Account } from '../../src/lib/fleet/account.js';
import { runChecked } from '../../src/lib/platform/child-process.js';
import { temporaryFolder } from './temporary-folder.js';

/** A device as the stand-in cloud knows it. */
export interface StandInDevice {
  readonly uuid: string;
  readonly name: string;
  readonly isConnected: boolean;
  readonly seenAt: string | null;
  /** Which port of this computer stands for which port of the device. */
  readonly ports: Readonly<Record<number, number>>;
}

/** What goes wrong at the tunnel service. */
export type TunnelFault = 'silence' | 'cut' | 'not-http' | { readonly status: number };

/** A cloud that stands in for balenaCloud or an openBalena, made from what is known of their protocols. */
export interface StandInCloud {
  /** `https://127.0.0.1:4711` */
  readonly apiUrl: string;
  /** `127.0.0.1:4712` */
  readonly tunnel: string;
  /** File of the certificate authority that both services are trusted by, for NODE_EXTRA_CA_CERTS. */
  readonly certificateFile: string;
  readonly token: string;
  readonly userName: string;
  devices: StandInDevice[];
  /** Configuration variables of devices, by the number of the device. */
  readonly settings: { id: number; device: number; name: string; value: string }[];
  /** What the API answers, whatever it is asked; undefined to answer properly. */
  answer: { status: number; headers?: Record<string, string>; body?: string } | 'silence' | undefined;
  tunnelFault: TunnelFault | undefined;
  /** What `whoami` says of the token. */
  actorType: string;
  /** `GET /v7/device?… 200` of the API, `CONNECT … 200` of the tunnel service. */
  readonly asked: string[];
  /** Breaks every open tunnel. */
  readonly cutTunnels: () => void;
  readonly close: () => Promise<void>;
}

/** A login to the cloud, as davit keeps it. */
export function accountAt(cloud: StandInCloud, changes: Partial<Account> = {}): Account {
  const { apiUrl, tunnel, userName, token } = cloud;
  return { name: 'work', apiUrl, tunnelUrl: `https://${tunnel}`, sshProxy: null, userName, token, ...changes };
}

/** Starts a cloud with its own certificate authority. Nothing that is not known of the real ones is accepted: the answer is 400. */
export async function startCloud(t: { after: (work: () => unknown) => void }): Promise<StandInCloud> {
  const folder = await temporaryFolder(t);
  const [key, certificateFile] = [path.join(folder, 'key.pem'), path.join(folder, 'ca.pem')];
  const names = ['-subj', '/CN=cloud', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:*.cloud.test'];
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const words = ['req', '-x509', ...made, '-keyout', key, '-out', certificateFile, ...names];
  await runChecked('making a certificate', 'openssl', words);
  const tls = { key: await readFile(key), cert: await readFile(certificateFile) };
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
  };
  const api = createSecureServer(tls, (request, response) => {
    answerApi(cloud, request, response);
  });
  const tunnel = createTlsServer(tls, (socket) => {
    keep(socket);
    void serveTunnel(cloud, socket, keep);
  });
  const ports: number[] = [];
  for (const server of [api, tunnel]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the stand-in has no port');
    ports.push(address.port);
  }
  const cutTunnels = () => {
    for (const socket of sockets) socket.destroy();
  };
  const cloud: StandInCloud = {
    apiUrl: `https://127.0.0.1:${String(ports[0])}`,
    tunnel: `127.0.0.1:${String(ports[1])}`,
    certificateFile,
    token: `eyJhbGciOiJI-${String(process.pid)}-${String(ports[0])}-secret`,
    userName: 'lea',
    devices: [],
    settings: [],
    answer: undefined,
    tunnelFault: undefined,
    actorType: 'user',
    asked: [],
    cutTunnels,
    close: async () => {
      api.closeAllConnections();
      cutTunnels();
      await Promise.all([api, tunnel].map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
  t.after(cloud.close);
  return cloud;
}

const deviceFields = 'id uuid device_name is_connected_to_vpn last_connectivity_event os_version ip_address'.split(' ');

function answerApi(cloud: StandInCloud, request: IncomingMessage, response: ServerResponse): void {
  const { answer } = cloud;
  if (answer === 'silence') return;
  const url = new URL(request.url ?? '/', cloud.apiUrl);
  const send = (status: number, body?: unknown) => {
    cloud.asked.push(`${String(request.method)} ${url.pathname}${decodeURIComponent(url.search)} ${status}`);
    response.writeHead(status, { 'content-type': 'application/json', ...answer?.headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
  if (answer !== undefined) send(answer.status, answer.body ?? '');
  else if (request.headers.authorization !== `Bearer ${cloud.token}`) send(401, '');
  else if (url.pathname.startsWith('/v7/device_config_variable')) {
    void text(request).then((body) => {
      const { status, d } = answerSettings(cloud, request, url, body);
      send(status, d === undefined ? 'OK' : { d });
    });
  } else if (request.method !== 'GET') send(400, '');
  else if (url.pathname === '/actor/v1/whoami') send(200, whoAmI(cloud));
  else if (url.pathname === '/v7/device') {
    const devices = query(cloud, url.searchParams);
    if (devices === undefined) send(400, 'Bad Request');
    else send(200, { d: devices });
  } else send(404, '');
}

/** Lists, makes and changes configuration variables, as the API documents it. */
function answerSettings(cloud: StandInCloud, { method, headers }: IncomingMessage, url: URL, body: string) {
  const id = /^\/v7\/device_config_variable\((\d+)\)$/.exec(url.pathname)?.[1];
  if (method === 'GET' && id === undefined) {
    const device = /^device eq (\d+)$/.exec(url.searchParams.get('$filter') ?? '')?.[1];
    if (device === undefined || url.searchParams.get('$select') !== 'id,name,value') return { status: 400 };
    return { status: 200, d: cloud.settings.filter((one) => one.device === Number(device)) };
  }
  if (headers['content-type'] !== 'application/json') return { status: 400 };
  const sent = JSON.parse(body) as { device: number; name: string; value: string };
  if (method === 'POST' && id === undefined) {
    cloud.settings.push({ ...sent, id: cloud.settings.length + 1 });
    return { status: 201 };
  }
  const found = cloud.settings.find((one) => one.id === Number(id));
  if (method !== 'PATCH' || found === undefined) return { status: 404 };
  found.value = sent.value;
  return { status: 200 };
}

function whoAmI({ actorType, userName }: StandInCloud): object {
  const actor = { id: 1234, actorType, actorTypeId: 99 };
  return actorType === 'user' ? { ...actor, username: userName, email: 'lea@example.com' } : actor;
}

/** The OData that is needed, and no more: conditions joined by `or`. */
function query(cloud: StandInCloud, parameters: URLSearchParams): object[] | undefined {
  const { $select = '', $filter = '', $top = '', ...others } = Object.fromEntries(parameters);
  const fields = $select.split(',');
  if (Object.keys(others).length > 0 || !/^\d+$/.test($top)) return undefined;
  if (fields.some((field) => !deviceFields.includes(field))) return undefined;
  const tests = $filter.split(' or ').map((one) => condition(one));
  if (tests.includes(undefined)) return undefined;
  return cloud.devices
    .filter((device) => tests.some((holds) => holds?.(device)))
    .slice(0, Number($top))
    .map((device) => {
      const { uuid, name, isConnected, seenAt } = device;
      const all: Record<string, unknown> = {
        id: 1000 + cloud.devices.indexOf(device),
        uuid,
        device_name: name,
        is_connected_to_vpn: isConnected,
        last_connectivity_event: seenAt,
        os_version: 'balenaOS 6.8.1',
        ip_address: '192.168.77.20 10.9.8.7',
      };
      return Object.fromEntries(fields.map((field) => [field, all[field]]));
    });
}

function condition(text: string): ((device: StandInDevice) => boolean) | undefined {
  const { field, value } = /^(?<field>uuid|device_name) eq '(?<value>(?:[^']|'')*)'$/.exec(text)?.groups ?? {};
  const wanted = value?.replaceAll("''", "'");
  if (wanted !== undefined) return ({ uuid, name }) => (field === 'uuid' ? uuid : name) === wanted;
  const { start } = /^startswith\(uuid,'(?<start>[0-9a-f]+)'\)$/.exec(text)?.groups ?? {};
  return start === undefined ? undefined : ({ uuid }) => uuid.startsWith(start);
}

/** One request of open-balena-vpn's proxy: `CONNECT <uuid>.balena:<port> HTTP/1.0`. */
async function serveTunnel(cloud: StandInCloud, socket: Socket, keep: (socket: Socket) => void): Promise<void> {
  let head = '';
  while (!head.includes('\r\n\r\n')) {
    const [chunk] = (await Promise.race([once(socket, 'data'), once(socket, 'close').then(() => [])])) as [Buffer?];
    if (chunk === undefined) return;
    head += chunk.toString('latin1');
  }
  socket.pause();
  const [first = '', ...headers] = head.slice(0, head.indexOf('\r\n\r\n')).split('\r\n');
  const end = (status: number, words: string) => {
    cloud.asked.push(`${first} ${status}`);
    socket.end(`HTTP/1.0 ${status} ${words}\r\n\r\n`);
  };
  const fault = cloud.tunnelFault;
  if (fault === 'silence') {
    cloud.asked.push(first);
    return;
  }
  if (fault === 'cut') {
    socket.destroy();
    return;
  }
  if (fault === 'not-http') {
    socket.end('220 mail.example.com ESMTP\r\n\r\n');
    return;
  }
  if (fault !== undefined) {
    end(fault.status, 'Refused');
    return;
  }
  const target = /^CONNECT (?<uuid>[a-fA-F0-9]+)\.balena:(?<port>\d+) HTTP\/1\.0$/.exec(first)?.groups;
  if (target === undefined) {
    end(403, 'Forbidden');
    return;
  }
  const login = Buffer.from(`${cloud.userName}:${cloud.token}`).toString('base64');
  const nameless = Buffer.from(`root:${cloud.token}`).toString('base64');
  const device = cloud.devices.find(({ uuid }) => uuid === target.uuid);
  const isAllowed = [login, nameless].some((one) => headers.includes(`Proxy-Authorization: Basic ${one}`));
  if (!isAllowed || device === undefined) {
    end(407, 'Proxy Authorization Required');
    return;
  }
  if (!device.isConnected) {
    end(503, 'Service Unavailable');
    return;
  }
  const port = device.ports[Number(target.port)];
  if (port === undefined) {
    end(500, 'Internal Server Error');
    return;
  }
  const there = connect(port, '127.0.0.1');
  keep(there);
  await once(there, 'readable');
  // The answer comes in two pieces, the second one with what the device says first.
  cloud.asked.push(`${first} 200`);
  socket.write('HTTP/1.0 200 Conn');
  await new Promise((resolve) => setImmediate(resolve));
  const greeting: unknown = there.read();
  socket.write(Buffer.concat([Buffer.from('ection Established\r\n\r\n'), greeting as Buffer]));
  socket.once('close', () => there.destroy());
  there.once('close', () => {
    socket.destroySoon();
  });
  there.pipe(socket);
  socket.pipe(there);
}
