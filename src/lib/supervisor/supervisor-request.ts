import http from 'node:http';
import { text } from 'node:stream/consumers';
import { Failure, interrupted } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { isRecord, type Json } from '../platform/json.js';
import { connectTcp } from '../platform/tcp.js';

/** Where a Supervisor's API is. */
export interface SupervisorAddress {
  /** An IP address, with `%zone` when it is link-local. */
  readonly address: string;
  readonly port: number;
}

/** Where the Supervisor's API listens on a device. */
export const supervisorPort = 48_484;

/** One request to a Supervisor. */
export interface SupervisorRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly json?: Json;
  readonly signal: AbortSignal;
}

const connectMs = 5000;
const answerMs = 30_000;

/**
 * The Supervisor's answer as JSON. No key is sent: a Supervisor in local mode needs none, and one that asks for one is not ours
 * to command.
 */
export async function supervisorJson(
  { address, port }: SupervisorAddress,
  { method, path, json, signal }: SupervisorRequest,
): Promise<unknown> {
  const doing = `talking to the Supervisor at ${address} port ${port}`;
  try {
    const socket = await connectTcp({ address, port, timeoutMs: connectMs, signal });
    const { status, body } = await new Promise<{ status: number; body: string }>((resolve, reject) => {
      const headers = { host: 'supervisor', 'content-type': 'application/json' };
      const options = { method, path, headers, signal, timeout: answerMs, createConnection: () => socket };
      const request = http.request(options, (response) => {
        text(response).then((body) => {
          resolve({ status: response.statusCode ?? 0, body });
        }, reject);
      });
      request.on('error', reject);
      request.on('timeout', () => {
        request.destroy(new Failure('unreachable', 'supervisor-timeout', `no answer within ${answerMs / 1000} s`));
      });
      request.end(json === undefined ? undefined : JSON.stringify(json));
    });
    if (status >= 400) throw refusal(status, body);
    return parsed(body);
  } catch (error) {
    if (signal.aborted) throw interrupted();
    // What Node's parser says of anything that is not HTTP.
    const isForeign = systemErrorCode(error)?.startsWith('HPE_') === true;
    const message = 'what answers there does not speak HTTP';
    throw whileDoing(doing, isForeign ? new Failure('failed', 'supervisor-answer', message, { cause: error }) : error);
  }
}

function refusal(status: number, body: string): Failure {
  const answer = parsed(body);
  const said = isRecord(answer) && typeof answer.message === 'string' ? answer.message : body.trim().slice(0, 500);
  const message = said === '' ? `status ${status}` : said;
  const localMode = { hint: 'The device accepts projects only in local mode' };
  switch (status) {
    case 400:
      return new Failure('refused', 'supervisor-refused', message, localMode);
    case 401:
      return new Failure('permission', 'supervisor-denied', message, localMode);
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
