import { request as httpRequest } from 'node:http';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { Failure, interrupted } from '../failure/failure.js';
import { connectionCut, connectionFailure, shownUrl, statusFailure } from './http-failure.js';
import { hostOf, portOf, proxyFor } from './http-proxy.js';
import { limit } from './limit.js';
import { systemAddresses } from './system-addresses.js';
import { percentDecoded } from './percent-decoded.js';
import { connectTcp } from './tcp.js';

/** A connection on which requests for a URL can be made. */
export interface HttpConnection {
  readonly socket: Duplex;
  /** The proxy that is to be asked for the whole URL; undefined where the connection reaches the server itself. */
  readonly forwardingProxy: URL | undefined;
}

/** How a connection is made. */
export interface HttpConnectOptions {
  readonly connectMs: number;
  readonly signal: AbortSignal;
}

/**
 * Connects to the server of a URL, through the proxy that the environment names for it. A proxy is asked for `http:` URLs as a whole and for
 * a tunnel to `https:` ones, as every office proxy allows. Certificates are checked against Node's own and those of NODE_EXTRA_CA_CERTS.
 */
export async function connectHttp(url: URL, options: HttpConnectOptions): Promise<HttpConnection> {
  const proxy = proxyFor(url);
  if (proxy === undefined) return { socket: await open(url, options), forwardingProxy: undefined };
  const toProxy = await open(proxy, options);
  if (url.protocol === 'http:') return { socket: toProxy, forwardingProxy: proxy };
  const tunnel = await openTunnel(url, proxy, toProxy, options);
  return { socket: await secure(url, tunnel, options), forwardingProxy: undefined };
}

/** The header that carries the user and password of a URL, under a name. */
export function loginHeader(name: string, { username, password }: URL): Readonly<Record<string, string>> {
  if (username === '' && password === '') return {};
  const login = `${percentDecoded(username)}:${percentDecoded(password)}`;
  return { [name]: `Basic ${Buffer.from(login).toString('base64')}` };
}

async function open(url: URL, options: HttpConnectOptions): Promise<Duplex> {
  const { connectMs: timeoutMs, signal } = options;
  const host = hostOf(url);
  try {
    const addresses = isIP(host) === 0 ? { addresses: await resolveHost(url, options) } : {};
    const socket = await connectTcp({ address: host, port: portOf(url), timeoutMs, signal, ...addresses });
    return url.protocol === 'https:' ? await secure(url, socket, options) : socket;
  } catch (error) {
    throw error instanceof Error ? connectionFailure(url, error) : error;
  }
}

async function resolveHost(url: URL, { connectMs, signal }: HttpConnectOptions): Promise<string[]> {
  const limited = limit(signal, connectMs);
  try {
    const addresses = await systemAddresses(hostOf(url), limited.signal);
    if (signal.aborted) throw interrupted();
    if (addresses.length > 0) return addresses;
    throw new Failure(
      'unreachable',
      'host-not-found',
      `reading ${shownUrl(url)}: the name ${hostOf(url)} does not resolve`,
      {
        hint: 'Check the address, and that this computer is on the network; behind a proxy, set https_proxy',
      },
    );
  } finally {
    limited.end();
  }
}

function openTunnel(url: URL, proxy: URL, socket: Duplex, options: HttpConnectOptions): Promise<Duplex> {
  const authority = `${url.hostname}:${portOf(url)}`;
  return settled(url, socket, options, (resolve, reject) => {
    const request = httpRequest({
      method: 'CONNECT',
      path: authority,
      headers: { host: authority, ...loginHeader('proxy-authorization', proxy) },
      createConnection: () => socket,
    });
    request.on('error', reject);
    request.once('connect', ({ statusCode = 0 }) => {
      if (statusCode === 200) resolve(socket);
      else reject(statusCode === 407 ? statusFailure(url, statusCode) : tunnelRefused(url, proxy, statusCode));
    });
    // Whatever is not a CONNECT answer to Node is a response to it.
    request.once('response', ({ statusCode = 0 }) => {
      reject(statusFailure(url, statusCode));
    });
    request.end();
  });
}

function secure(url: URL, socket: Duplex, options: HttpConnectOptions): Promise<Duplex> {
  const host = hostOf(url);
  return settled(url, socket, options, (resolve, reject) => {
    // Server names are never addresses (RFC 6066, section 3); the certificate is compared with `host` then.
    const name = isIP(host) === 0 ? { servername: host } : {};
    const secured = connectTls({ socket, host, ALPNProtocols: ['http/1.1'], ...name });
    secured.on('error', reject);
    secured.once('secureConnect', () => {
      secured.off('error', reject);
      resolve(secured);
    });
  });
}

/** Waits for a step of connecting on a socket, which is closed when that fails, takes too long or is interrupted. */
async function settled(
  url: URL,
  socket: Duplex,
  { connectMs, signal }: HttpConnectOptions,
  begin: (resolve: (socket: Duplex) => void, reject: (error: Error) => void) => void,
): Promise<Duplex> {
  const over = new AbortController();
  try {
    return await new Promise<Duplex>((resolve, reject) => {
      const timer = setTimeout(() => {
        const words = `reading ${shownUrl(url)}: no connection within ${connectMs / 1000} s`;
        reject(new Failure('unreachable', 'timeout', words));
      }, connectMs);
      const onClose = () => {
        reject(connectionCut(url));
      };
      const onAbort = () => {
        reject(interrupted());
      };
      socket.on('error', reject).on('close', onClose);
      signal.addEventListener('abort', onAbort);
      over.signal.addEventListener('abort', () => {
        clearTimeout(timer);
        socket.off('error', reject).off('close', onClose);
        signal.removeEventListener('abort', onAbort);
      });
      if (signal.aborted) onAbort();
      else begin(resolve, reject);
    });
  } catch (error) {
    // What it still has to say does not matter any more.
    socket.on('error', () => undefined).destroy();
    throw error instanceof Error ? connectionFailure(url, error) : error;
  } finally {
    over.abort();
  }
}

function tunnelRefused(url: URL, proxy: URL, status: number): Failure {
  const words = `reading ${shownUrl(url)}: the proxy ${proxy.host} does not connect to it (HTTP ${status})`;
  const details = { hint: 'Check the address, or put the host into no_proxy if it is reached directly' };
  return status === 403
    ? new Failure('permission', 'proxy-denied', words, details)
    : new Failure('unreachable', 'proxy-failed', words, details);
}
