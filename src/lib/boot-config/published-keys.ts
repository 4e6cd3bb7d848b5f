import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { environmentVariable } from '../platform/environment.js';
import { type HttpAnswer, httpGet } from '../platform/http.js';
import { shownUrl, statusFailure } from '../platform/http-failure.js';
import type { KeySource } from './key-source.js';
import { publicKeysIn } from './ssh-public-key.js';

const services = {
  github: { name: 'GitHub', address: 'https://github.com', variable: 'DAVIT_GITHUB_URL' },
  gitlab: { name: 'GitLab', address: 'https://gitlab.com', variable: 'DAVIT_GITLAB_URL' },
} as const satisfies Record<KeySource['service'], object>;

/** Short, as somebody waits for it and a list of keys is small. */
const limits = { connectMs: 10_000, answerMs: 15_000, stallMs: 10_000 };
const mostBytes = 256 * 1024;

/** All keys that a user has published, as lines of authorized_keys; fails rather than give fewer. */
export async function fetchPublishedKeys({ service, user }: KeySource, signal: AbortSignal): Promise<string[]> {
  const word = `${service}:${user}`;
  const { name, address, variable } = services[service];
  const base = environmentVariable(variable) ?? address;
  if (!/^https?:$/.test(URL.canParse(base) ? new URL(base).protocol : '')) {
    throw new Failure('usage', 'invalid-url', `${variable} is not a URL with http or https`, {
      hint: `Set it to something like ${address}, or unset it`,
    });
  }
  try {
    const answer = await httpGet(new URL(`${base.replace(/\/+$/, '')}/${user}.keys`), { limits, signal });
    if (answer.status === 404) {
      answer.close();
      throw new Failure('not-found', 'ssh-keys-not-found', `${name} has no user named ${user}`, {
        hint: 'Check the name, or give the key itself or a file with it',
      });
    }
    if (answer.status !== 200) {
      answer.close();
      throw statusFailure(answer.url, answer.status);
    }
    return withNames(publicKeysIn(String(await bodyOf(answer)), `what ${shownUrl(answer.url)} answers`), word);
  } catch (error) {
    throw whileDoing(`fetching the SSH keys of ${word}`, error, {
      hint: 'Check the name and the network; a proxy is taken from https_proxy. Or give the key itself or a file with it',
    });
  }
}

async function bodyOf(answer: HttpAnswer): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of answer.body) {
    size += part.length;
    if (size > mostBytes) {
      throw new Failure('failed', 'answer-too-large', `${shownUrl(answer.url)} answers more than a list of keys`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Published keys have no comments; where each came from is said in its place. */
function withNames(keys: readonly string[], word: string): string[] {
  return keys.map((key) => (key.split(/\s+/).length === 2 ? `${key} ${word}` : key));
}
