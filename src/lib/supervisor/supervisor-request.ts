import http from 'node:http';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Failure, interrupted } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { isRecord, type Json } from '../platform/json.js';
import type { SupervisorConnection } from './supervisor-connection.js';

/** One request to a Supervisor. */
export interface SupervisorRequest {
  readonly method: 'GET' | 'POST' | 'PATCH';
  readonly path: string;
  readonly json?: Json;
  readonly signal: AbortSignal;
  /** How long the whole answer may take; half a minute by default. What stops containers takes longer. */
  readonly timeoutMs?: number;
  /** Shows no key, so that only a Supervisor in local mode obeys. */
  readonly withoutKey?: boolean;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

const usualMs = 30_000;

/** The Supervisor's answer as JSON, or the one word that some answers are. A key is shown only to a Supervisor that asks for one. */
export async function supervisorJson(supervisor: SupervisorConnection, request: SupervisorRequest): Promise<unknown> {
  const open = await answerTo(supervisor, request, undefined);
  const key = open.status === 401 && request.withoutKey !== true ? await supervisor.apiKey?.() : undefined;
  const { status, body } = key === undefined ? open : await answerTo(supervisor, request, key);
  if (status >= 400) throw refusal(supervisor, status, body);
  return parsed(body);
}

async function answerTo(
  supervisor: SupervisorConnection,
  request: SupervisorRequest,
  key: string | undefined,
): Promise<Answer> {
  try {
    return await exchange(await supervisor.connect(request.signal), request, key);
  } catch (error) {
    if (request.signal.aborted) throw interrupted();
    // What Node's parser says of anything that is not HTTP.
    const isForeign = systemErrorCode(error)?.startsWith('HPE_') === true;
    const message = 'what answers there does not speak HTTP';
    const reason = isForeign ? new Failure('failed', 'supervisor-answer', message, { cause: error }) : error;
    throw whileDoing(`talking to ${supervisor.description}`, reason);
  }
}

async function exchange(
  stream: Duplex,
  { method, path, json, signal, timeoutMs = usualMs }: SupervisorRequest,
  key: string | undefined,
): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const headers = {
    host: 'supervisor',
    'content-type': 'application/json',
    ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
  };
  try {
    return await new Promise<Answer>((resolve, reject) => {
      const request = http.request({ method, path, headers, signal, createConnection: () => stream });
      timer = setTimeout(() => {
        request.destroy(new Failure('unreachable', 'supervisor-timeout', `no answer within ${timeoutMs / 1000} s`));
      }, timeoutMs);
      request.on('response', (response) => {
        text(response).then((body) => {
          resolve({ status: response.statusCode ?? 0, body });
        }, reject);
      });
      request.on('error', reject);
      request.end(json === undefined ? undefined : JSON.stringify(json));
    });
  } finally {
    clearTimeout(timer);
    stream.destroy();
  }
}

function refusal({ description }: SupervisorConnection, status: number, body: string): Failure {
  const answer = parsed(body);
  const said = isRecord(answer) ? (answer.message ?? answer.Error) : body.trim().slice(0, 500);
  const message = `${description} says: ${typeof said === 'string' && said !== '' ? said : `status ${status}`}`;
  switch (status) {
    case 400:
      return new Failure('refused', 'supervisor-refused', message);
    case 401:
      return new Failure('permission', 'supervisor-denied', message, {
        hint:
          'Outside local mode it wants a key, which davit reads through SSH from a service with the label ' +
          'io.balena.features.supervisor-api',
      });
    case 404:
      return new Failure('not-found', 'supervisor-unable', message);
    case 423:
      return new Failure('refused', 'update-locked', message, {
        hint: 'A service holds an update lock: wait until it gives it back, or pass --force',
      });
    default:
      return new Failure('failed', 'supervisor-error', message);
  }
}

/** The Supervisor answers with JSON or, in some cases, with a word. */
function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}
