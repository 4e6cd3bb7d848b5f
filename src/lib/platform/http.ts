import { type IncomingHttpHeaders, type IncomingMessage, request as httpRequest } from 'node:http';
import { Failure, interrupted } from '../failure/failure.js';
import { HttpBody } from './http-body.js';
import { connectHttp, loginHeader } from './http-connection.js';
import { connectionFailure, shownUrl } from './http-failure.js';

/** How long a server may take, in milliseconds. */
export interface HttpLimits {
  /** Each step until it can be asked: TCP, a proxy's tunnel, TLS. */
  readonly connectMs: number;
  /** From the question to the first line of the answer. */
  readonly answerMs: number;
  /** Without a single byte, while bytes are waited for. */
  readonly stallMs: number;
}

/** Generous enough for a slow server, short enough that nobody takes a dead one for a slow one. */
export const defaultHttpLimits: HttpLimits = { connectMs: 15_000, answerMs: 30_000, stallMs: 20_000 };

/** What is asked for besides the URL. */
export interface HttpOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly limits?: HttpLimits;
  readonly signal: AbortSignal;
  /** What is sent, where that is more than a question. */
  readonly sent?: HttpSent;
}

/** A body, and what is to be done with it. */
export interface HttpSent {
  readonly method: 'POST' | 'PATCH';
  readonly body: string;
}

/** An answer whose body has yet to be read. Whoever got it reads the body to its end or closes it. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Where it came from, after redirects. */
  readonly url: URL;
  /** The bytes as they are sent: no encoding is undone. Fails with `unreachable` when they stop coming or the connection breaks. */
  readonly body: AsyncGenerator<Buffer>;
  readonly close: () => void;
}

const mostRedirects = 10;
const redirects: readonly number[] = [301, 302, 303, 307, 308];

/**
 * Asks for a URL by GET and follows redirects; any other status is an answer. User and password of the URL go to its own origin only. Fails
 * with `unreachable` when there is no connection or no answer in time, and never names credentials.
 */
export async function httpGet(start: URL, options: HttpOptions): Promise<HttpAnswer> {
  let url = start;
  for (let hop = 0; hop <= mostRedirects; hop += 1) {
    const login = url.origin === start.origin ? loginHeader('authorization', start) : {};
    const answer = await httpAsk(url, { ...options, headers: { ...options.headers, ...login } });
    const { location } = answer.headers;
    if (!redirects.includes(answer.status) || location === undefined) return answer;
    answer.close();
    url = redirected(url, location);
  }
  throw new Failure(
    'failed',
    'too-many-redirects',
    `reading ${shownUrl(start)}: more than ${mostRedirects} redirects`,
    {
      hint: 'Check the address; a login page may be in the way',
    },
  );
}

function redirected(from: URL, location: string): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  const isSafe = to?.protocol === 'https:' || (to?.protocol === 'http:' && from.protocol === 'http:');
  if (to !== undefined && isSafe) return to;
  const where = to === undefined ? 'nowhere' : shownUrl(to);
  throw new Failure('refused', 'redirect-insecure', `${shownUrl(from)} redirects to ${where}, which is not HTTPS`, {
    hint: 'If you trust that address and network, give it yourself',
  });
}

/**
 * Asks for a URL by GET, or sends something there, once: a redirect is an answer like any other, so that what the headers say goes to nobody else. Fails with
 * `unreachable` when there is no connection or no answer in time.
 */
export async function httpAsk(url: URL, options: HttpOptions): Promise<HttpAnswer> {
  const { signal, limits = defaultHttpLimits } = options;
  const { socket, forwardingProxy } = await connectHttp(url, { connectMs: limits.connectMs, signal });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const settle = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (error: Error) => {
      settle();
      socket.destroy();
      reject(connectionFailure(url, error));
    };
    const onAbort = () => {
      fail(interrupted());
    };
    const timer = setTimeout(() => {
      const words = `reading ${shownUrl(url)}: no answer within ${limits.answerMs / 1000} s`;
      fail(new Failure('unreachable', 'timeout', words));
    }, limits.answerMs);
    signal.addEventListener('abort', onAbort);
    const request = httpRequest({
      method: options.sent?.method ?? 'GET',
      path:
        forwardingProxy === undefined ? `${url.pathname}${url.search}` : `${url.origin}${url.pathname}${url.search}`,
      headers: {
        host: url.host,
        'user-agent': 'davit',
        accept: '*/*',
        // Images are packed already; what is counted and resumed are the bytes of the file.
        'accept-encoding': 'identity',
        connection: 'close',
        ...(forwardingProxy === undefined ? {} : loginHeader('proxy-authorization', forwardingProxy)),
        ...options.headers,
      },
      createConnection: () => socket,
    });
    request.on('error', fail);
    request.once('response', (message) => {
      settle();
      resolve(message);
    });
    request.end(options.sent?.body);
    if (signal.aborted) onAbort();
  });
  const body = new HttpBody(url, response, limits.stallMs, signal);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    url,
    body: body.read(),
    close: () => {
      body.close();
    },
  };
}
