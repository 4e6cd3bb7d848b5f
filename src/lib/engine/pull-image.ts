import { Failure } from '../failure/failure.js';
import type { JsonObject } from '../platform/json.js';
import { numberAt, valueAt } from './engine-answer.js';
import type { EngineConnection } from './engine-connection.js';
import { engineStream } from './engine-request.js';
import { textLines } from './text-lines.js';

/** A name and a password for a registry. */
export interface RegistryLogin {
  readonly username: string;
  readonly password: string;
}

/** Logins by the address of the registry, that of Docker Hub being `https://index.docker.io/v1/`. */
export type RegistryLogins = Readonly<Record<string, RegistryLogin>>;

/** An image that an engine is to fetch. */
export interface PullRequest {
  /** As in a compose file: `redis`, `redis:7`, `ghcr.io/a/b@sha256:…`. */
  readonly image: string;
  readonly logins: RegistryLogins;
  readonly signal: AbortSignal;
}

/** Hears of each layer; the byte counts are absent where there are none. */
export type PullListener = (id: string, status: string, current?: number, total?: number) => void;

/** Has the engine fetch an image from its registry. */
export async function pullImage(
  engine: EngineConnection,
  { image, logins, signal }: PullRequest,
  onLayer: PullListener,
): Promise<void> {
  const { name, tag } = imageReference(image);
  const login = logins[registryOf(name)];
  const answer = engineStream(engine, {
    method: 'POST',
    path: '/images/create',
    // A digest is no tag; the engine takes it as part of the name.
    query: tag === undefined ? { fromImage: name, tag: 'latest' } : { fromImage: name, tag },
    headers: login === undefined ? {} : { 'x-registry-auth': encodedHeader({ ...login }) },
    signal,
    timeoutMs: Infinity,
  });
  for await (const line of textLines(answer)) {
    if (line.trim() === '') continue;
    const message: unknown = JSON.parse(line);
    const error = valueAt(message, 'errorDetail', 'message') ?? valueAt(message, 'error');
    if (typeof error === 'string') throw new Failure('failed', 'pull-failed', error);
    const [id, status] = [valueAt(message, 'id'), valueAt(message, 'status')];
    if (typeof id !== 'string' || typeof status !== 'string') continue;
    onLayer(id, status, numberAt(message, 'progressDetail', 'current'), numberAt(message, 'progressDetail', 'total'));
  }
}

/** The address of Docker Hub among registry logins. */
const dockerHub = 'https://index.docker.io/v1/';

/** The registry that an image's name points to: what is before the first slash, where it looks like a host. */
export function registryOf(name: string): string {
  const first = name.split('/')[0] ?? '';
  const isHost = name.includes('/') && (/[.:]/.test(first) || first === 'localhost');
  return !isHost || first === 'docker.io' || first === 'index.docker.io' ? dockerHub : first;
}

/** Name and tag or digest of an image; the port of a registry is no tag. */
export function imageReference(image: string): { readonly name: string; readonly tag: string | undefined } {
  const [, name = image, digest, tag] = /^([^@]+?)(?:(?::[^:/@]+)?@(.+)|:([^:/@]+))?$/.exec(image) ?? [];
  return { name, tag: digest ?? tag };
}

/** JSON as engines want it in a header. */
export function encodedHeader(value: JsonObject): string {
  // Go decodes base64url with its padding.
  const text = Buffer.from(JSON.stringify(value)).toString('base64url');
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}
