import { Failure } from '../failure/failure.js';
import { httpAsk, type HttpSent } from '../platform/http.js';
import { statusFailure } from '../platform/http-failure.js';
import type { Json } from '../platform/json.js';
import { shellWord } from '../platform/shell-word.js';
import { type Account, tokenVariable } from './account.js';

/** No list that davit asks for is longer. */
const mostBytes = 8_000_000;

/**
 * What the API of a cloud answers to a GET, as JSON. The token is sent to the API alone: a redirect is refused, wherever it leads.
 *
 * @param path with its query, from the root: `/actor/v1/whoami`
 */
export async function cloudJson(account: Account, path: string, signal: AbortSignal): Promise<unknown> {
  const url = new URL(path, account.apiUrl);
  const headers = { authorization: `Bearer ${account.token}`, accept: 'application/json' };
  const answer = await httpAsk(url, { headers, signal });
  try {
    if (answer.status !== 200) throw refusal(account, url, answer.status);
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of answer.body) {
      size += chunk.length;
      if (size > mostBytes) throw answerFailure(account, 'it sends more than davit asked for');
      chunks.push(chunk);
    }
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch (error) {
    if (error instanceof SyntaxError) throw answerFailure(account, 'what it sends is not JSON');
    throw error;
  } finally {
    answer.close();
  }
}

/** Makes (POST) or changes (PATCH) something through the API of a cloud. */
export async function cloudChange(
  account: Account,
  { method, path, json }: { readonly method: HttpSent['method']; readonly path: string; readonly json: Json },
  signal: AbortSignal,
): Promise<void> {
  const url = new URL(path, account.apiUrl);
  const headers = {
    authorization: `Bearer ${account.token}`,
    accept: 'application/json',
    'content-type': 'application/json',
  };
  const sent = { method, body: JSON.stringify(json) };
  const answer = await httpAsk(url, { headers: { ...headers, 'content-length': lengthOf(sent.body) }, sent, signal });
  try {
    if (answer.status < 200 || answer.status > 299) throw refusal(account, url, answer.status);
  } finally {
    answer.close();
  }
}

function lengthOf(body: string): string {
  return String(Buffer.byteLength(body));
}

/** The failure for an API that answers, but not as one. */
export function answerFailure({ apiUrl }: Account, reason: string): Failure {
  return new Failure('failed', 'cloud-answer', `asking ${apiUrl}: ${reason}`, {
    hint: 'Check that this is the address of the API of a balenaCloud or openBalena',
  });
}

/** The failure for a token that a cloud does not take, or does not take any more. */
export function tokenRefused({ name, apiUrl }: Account): Failure {
  const isOfEnvironment = name === tokenVariable;
  const what = isOfEnvironment ? `the token in ${tokenVariable}` : 'your token';
  return new Failure('permission', 'login-refused', `${apiUrl} does not accept ${what}: it is wrong or has expired`, {
    hint: isOfEnvironment
      ? `Check ${tokenVariable}, and BALENARC_BALENA_URL if it is for another cloud`
      : `Log in again: davit login --api-url ${apiUrl} --account ${shellWord(name)}`,
  });
}

function refusal(account: Account, url: URL, status: number): Failure {
  if (status === 401) return tokenRefused(account);
  if (status === 403) {
    return new Failure('permission', 'cloud-denied', `${account.apiUrl} does not let you do this`, {
      hint: 'Use a token or API key with the rights of your user',
    });
  }
  if (status >= 300 && status < 400)
    return answerFailure(account, 'it redirects, and your token is not sent elsewhere');
  if (status === 429 || status >= 500) return statusFailure(url, status);
  return answerFailure(account, `it answers with HTTP ${status}`);
}
