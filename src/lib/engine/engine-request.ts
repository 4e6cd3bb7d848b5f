import http from 'node:http';
import type { IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream';
import type { Duplex, Readable } from 'node:stream';
import { Failure, interrupted } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { isRecord, type Json } from '../platform/json.js';
import type { EngineConnection } from './engine-connection.js';

/** One request to an engine's HTTP API. */
export interface EngineRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD';
  /** Without a version prefix, so that old and new engines both understand it: `/containers/json`. */
  readonly path: string;
  /** `undefined` leaves a parameter out; anything that is not text, a number or a boolean is sent as JSON. */
  readonly query?: Readonly<Record<string, Json | undefined>>;
  /** Parameters that stand in the query once for each value. */
  readonly repeated?: Readonly<Record<string, readonly string[]>>;
  /** A JSON body, or a tar stream. */
  readonly body?: { readonly json: Json } | TarBody;
  /** Beside the type of the body: logins to registries. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** How long the engine may take before it begins to answer; half a minute by default. `Infinity` for builds and streams. */
  readonly timeoutMs?: number;
}

/** A tar stream to send, and who hears how many bytes of it have gone. */
interface TarBody {
  readonly tar: Readable;
  readonly onSent?: (bytes: number) => void;
}

/**
 * The body of the engine's answer, chunk by chunk, on a connection of its own; ending the iteration closes it, which
 * is how an engine is told to stop a build or a log. An error status fails with the engine's own message.
 */
export async function* engineStream(engine: EngineConnection, request: EngineRequest): AsyncGenerator<Buffer> {
  const { signal } = request;
  if (signal?.aborted) throw interrupted();
  const stream = await connected(engine, signal);
  const isTar = request.body !== undefined && 'tar' in request.body;
  const outgoing = http.request({
    method: request.method,
    path: pathWithQuery(request),
    headers: { ...request.headers, 'content-type': isTar ? 'application/x-tar' : 'application/json' },
    createConnection: () => stream,
  });
  const onAbort = () => outgoing.destroy(interrupted());
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const response = await answerOf(engine, outgoing, request);
    const status = response.statusCode ?? 0;
    const body: AsyncIterable<Buffer> = response;
    if (status >= 400) throw refusal(status, await text(body));
    yield* body;
  } catch (error) {
    if (signal?.aborted) throw interrupted();
    throw explained(engine, error);
  } finally {
    signal?.removeEventListener('abort', onAbort);
    outgoing.destroy();
  }
}

/** The whole answer as parsed JSON; undefined when it is empty, as after starting a container. */
export async function engineJson(engine: EngineConnection, request: EngineRequest): Promise<unknown> {
  const answer = await text(engineStream(engine, request));
  if (answer.trim() === '') return undefined;
  try {
    return JSON.parse(answer);
  } catch (error) {
    throw notAnEngine(engine, error);
  }
}

/** The failure for something that listens where an engine should, but is none. */
export function notAnEngine(engine: EngineConnection, cause?: unknown): Failure {
  return new Failure(
    'unreachable',
    'not-an-engine',
    `what answers at ${engine.description} is not a container engine`,
    {
      hint: 'Check the address and the port',
      cause,
    },
  );
}

/** Opens the stream without making Ctrl-C wait for it. */
async function connected(engine: EngineConnection, signal: AbortSignal | undefined): Promise<Duplex> {
  const connecting = engine.connect();
  if (signal === undefined) return connecting;
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      reject(interrupted());
      connecting.then(
        (late) => late.destroy(),
        () => undefined,
      );
    };
    signal.addEventListener('abort', onAbort, { once: true });
    connecting.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', onAbort);
    });
  });
}

function answerOf(
  engine: EngineConnection,
  outgoing: http.ClientRequest,
  { body, timeoutMs = 30_000 }: EngineRequest,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const timer =
      timeoutMs === Infinity
        ? undefined
        : setTimeout(() => {
            const message = `the engine at ${engine.description} did not answer within ${timeoutMs / 1000} s`;
            outgoing.destroy(new Failure('unreachable', 'engine-timeout', message));
          }, timeoutMs);
    outgoing.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    outgoing.on('response', (response) => {
      clearTimeout(timer);
      resolve(response);
    });
    if (body === undefined) outgoing.end();
    else if ('json' in body) outgoing.end(JSON.stringify(body.json));
    else sendTar(body, outgoing, reject);
  });
}

const stallMs = 60_000;

/** A peer that lost power takes no more bytes, and TCP alone would need a quarter of an hour to say so. */
function sendTar({ tar, onSent }: TarBody, outgoing: http.ClientRequest, onError: (error: Error) => void): void {
  let sent = 0;
  const stalled = setTimeout(() => {
    // What is sent may itself be waiting for something.
    if (!outgoing.writableNeedDrain) {
      stalled.refresh();
      return;
    }
    const message = `the engine has taken nothing of what is sent to it for ${stallMs / 1000} s`;
    outgoing.destroy(new Failure('unreachable', 'engine-timeout', message));
  }, stallMs);
  tar.on('data', (chunk: Buffer) => {
    stalled.refresh();
    sent += chunk.length;
    onSent?.(sent);
  });
  pipeline(tar, outgoing, (error) => {
    clearTimeout(stalled);
    if (error) onError(error);
  });
}

function pathWithQuery({ path, query = {}, repeated = {} }: EngineRequest): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    parameters.set(name, typeof value === 'object' ? JSON.stringify(value) : String(value));
  }
  for (const [name, values] of Object.entries(repeated)) for (const value of values) parameters.append(name, value);
  return parameters.size === 0 ? path : `${path}?${parameters.toString()}`;
}

async function text(chunks: AsyncIterable<Buffer>): Promise<string> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all).toString('utf8');
}

function refusal(status: number, body: string): Failure {
  const message = `the engine says: ${messageIn(body)}`;
  switch (status) {
    case 401:
    case 403:
      return new Failure('permission', 'engine-denied', message);
    case 404:
      return new Failure('not-found', 'engine-object-not-found', message);
    case 409:
      return new Failure('refused', 'engine-conflict', message);
    default:
      return new Failure('failed', 'engine-error', message);
  }
}

function messageIn(body: string): string {
  try {
    const answer: unknown = JSON.parse(body);
    if (isRecord(answer) && typeof answer.message === 'string') return answer.message;
  } catch {
    // Not an engine's usual answer: shown as it came.
  }
  return body.trim().slice(0, 500) || 'nothing more';
}

function explained(engine: EngineConnection, error: unknown): unknown {
  if (error instanceof Failure) return error;
  if (systemErrorCode(error)?.startsWith('HPE_')) return notAnEngine(engine, error);
  return whileDoing(`talking to the engine at ${engine.description}`, error);
}
