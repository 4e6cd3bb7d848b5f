import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { TestContext } from 'node:test';

/** How a test's server answers one request. Everything is about this answer alone. */
export interface WebAnswer {
  /** The file that is asked for. */
  readonly bytes?: Buffer;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether ranges are served; they are by default. */
  readonly ranges?: boolean;
  readonly etag?: string | undefined;
  readonly lastModified?: string | undefined;
  /** Whether ranges are served even for another version of the file than the one that is asked for. */
  readonly ignoresConditions?: boolean;
  /** Said instead of the true number of bytes of the file. */
  readonly size?: number;
  /** Sent without saying how much it is. */
  readonly chunked?: boolean;
  /** The connection is cut after this many bytes. */
  readonly cutAfter?: number | undefined;
  /** Nothing more is sent after this many bytes. */
  readonly stallAfter?: number | undefined;
  /** Nothing is sent at all, not even a status. */
  readonly silent?: boolean;
  readonly bytesPerSecond?: number;
}

/** A request as a test's server got it. */
export interface WebRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  /** How many requests came before it. */
  readonly index: number;
}

/** A running web server of a test. */
export interface WebServer {
  /** `http://127.0.0.1:4711` */
  readonly origin: string;
  readonly port: number;
  readonly requests: readonly WebRequest[];
  /** Stops listening and breaks every connection. */
  readonly stop: () => Promise<void>;
}

/** What an HTTPS server shows. */
export interface WebServerOptions {
  readonly tls?: { readonly key: string; readonly cert: string };
}

/** Starts a web server that answers as the test says; it stops when the test ends. */
export async function startWebServer(
  t: TestContext,
  answer: (request: WebRequest) => WebAnswer,
  options: WebServerOptions = {},
): Promise<WebServer> {
  const requests: WebRequest[] = [];
  const onRequest = (message: IncomingMessage, response: ServerResponse) => {
    const request = {
      method: message.method ?? '',
      path: message.url ?? '',
      headers: message.headers,
      index: requests.length,
    };
    requests.push(request);
    // A client that has enough leaves.
    response.on('error', () => undefined);
    void send(request, response, answer(request));
  };
  const server = options.tls === undefined ? createServer(onRequest) : createSecureServer(options.tls, onRequest);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address !== 'object') throw new Error('the server has no address');
  let isStopped = false;
  const stop = async () => {
    if (isStopped) return;
    isStopped = true;
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  t.after(stop);
  const scheme = options.tls === undefined ? 'http' : 'https';
  return { origin: `${scheme}://127.0.0.1:${address.port}`, port: address.port, requests, stop };
}

async function send(request: WebRequest, response: ServerResponse, answer: WebAnswer): Promise<void> {
  if (answer.silent === true) return;
  const { bytes = Buffer.alloc(0), ranges = true, etag, lastModified } = answer;
  const size = answer.size ?? bytes.length;
  for (const [name, value] of Object.entries({ etag, 'last-modified': lastModified, ...answer.headers })) {
    if (value !== undefined) response.setHeader(name, value);
  }
  const range = ranges && answer.status === undefined ? rangeOf(request, answer) : undefined;
  if (range !== undefined && range.start >= size) {
    response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
    return;
  }
  const start = range?.start ?? 0;
  const end = Math.min(range?.end ?? size, size);
  if (range !== undefined) response.setHeader('content-range', `bytes ${start}-${end - 1}/${size}`);
  if (answer.chunked !== true) response.setHeader('content-length', end - start);
  response.writeHead(answer.status ?? (range === undefined ? 200 : 206));
  await sendBody(response, bytes.subarray(start, end), answer);
}

async function sendBody(response: ServerResponse, body: Buffer, answer: WebAnswer): Promise<void> {
  const { cutAfter = Infinity, stallAfter = Infinity, bytesPerSecond } = answer;
  const limit = Math.min(body.length, cutAfter, stallAfter);
  const step = bytesPerSecond === undefined ? 64 * 1024 : Math.max(1, Math.floor(bytesPerSecond / 20));
  let wake: () => void = () => undefined;
  // What reads slowly, and what has gone away, ends the wait.
  const onNews = () => {
    wake();
  };
  response.on('drain', onNews).on('close', onNews);
  for (let at = 0; at < limit && !response.destroyed; at += step) {
    const isTaken = response.write(body.subarray(at, Math.min(at + step, limit)));
    if (!isTaken) await new Promise<void>((resolve) => (wake = resolve));
    if (bytesPerSecond !== undefined) await new Promise((resolve) => setTimeout(resolve, 50));
  }
  if (cutAfter <= limit) {
    // What was written is to arrive before the connection breaks.
    await new Promise((resolve) => setImmediate(resolve));
    response.socket?.destroySoon();
  } else if (stallAfter > limit) response.end();
}

/** The range that a request asks for, unless it is for another version of the file. */
function rangeOf(
  { headers }: WebRequest,
  { etag, lastModified, ignoresConditions }: WebAnswer,
): { readonly start: number; readonly end: number | undefined } | undefined {
  const { start, last } = /^bytes=(?<start>\d+)-(?<last>\d*)$/.exec(headers.range ?? '')?.groups ?? {};
  const condition = headers['if-range'];
  if (start === undefined) return undefined;
  const holds = condition === undefined || condition === etag || condition === lastModified;
  if (!holds && ignoresConditions !== true) return undefined;

  return { start: Number(start), end: last === undefined || last === '' ? undefined : Number(last) + 1 };
}
