import { Failure } from '../failure/failure.js';
import { listAt, numberAt, textAt, textMapAt, valueAt } from './engine-answer.js';
import type { EngineConnection } from './engine-connection.js';
import { engineJson, engineStream } from './engine-request.js';

/** One image on an engine. */
export interface ImageSummary {
  /** `sha256:…` */
  readonly id: string;
  readonly tags: readonly string[];
  readonly bytes: number;
  readonly labels: Readonly<Record<string, string>>;
  /** The image before the last step of its build, where it was built on this engine; undefined for all others. */
  readonly parent: string | undefined;
}

/** The images on the engine; the intermediate ones of builds too, if all are wanted. */
export async function listImages(
  engine: EngineConnection,
  { all = false, signal }: { readonly all?: boolean; readonly signal?: AbortSignal } = {},
): Promise<ImageSummary[]> {
  const answer = await engineJson(engine, { method: 'GET', path: '/images/json', query: { all }, signal });
  return (Array.isArray(answer) ? answer : []).map((one: unknown) => ({
    id: textAt(one, 'Id'),
    tags: listAt(one, 'RepoTags').map(String),
    bytes: numberAt(one, 'Size') ?? 0,
    labels: textMapAt(one, 'Labels'),
    parent: textAt(one, 'ParentId') || undefined,
  }));
}

/** The ID of the image behind a tag or an ID, or undefined when the engine has none. */
export async function findImage(
  engine: EngineConnection,
  name: string,
  signal?: AbortSignal,
): Promise<string | undefined> {
  return (await imageDetails(engine, name, signal))?.id;
}

/** What an engine knows of one image. */
export interface ImageDetails {
  /** `sha256:…`; the digest of its configuration, except on engines that keep images in containerd, where it is that of its manifest. */
  readonly id: string;
  /** Digests of its unpacked layers (`sha256:…`), the lowest first. */
  readonly layers: readonly string[];
  /** Bytes of its layers together, unpacked. */
  readonly bytes: number;
  /** As Go calls them: `linux`; `amd64`, `arm64`, `arm`; `v7`, `v6`, or empty where there is one only. */
  readonly os: string;
  readonly architecture: string;
  readonly variant: string;
  /** What its containers begin with: folder, user (empty for root) and variables. */
  readonly workingFolder: string;
  readonly user: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** What lies behind a tag or an ID, or undefined when the engine has no such image. */
export async function imageDetails(
  engine: EngineConnection,
  name: string,
  signal?: AbortSignal,
): Promise<ImageDetails | undefined> {
  try {
    const answer = await engineJson(engine, { method: 'GET', path: `/images/${name}/json`, signal });
    const words = (...keys: readonly string[]) => {
      const value = valueAt(answer, ...keys);
      return typeof value === 'string' ? value : '';
    };
    const variables = listAt(answer, 'Config', 'Env').map((one) => String(one));
    return {
      id: textAt(answer, 'Id'),
      layers: listAt(answer, 'RootFS', 'Layers').map(String),
      bytes: numberAt(answer, 'Size') ?? 0,
      os: textAt(answer, 'Os'),
      architecture: textAt(answer, 'Architecture'),
      variant: words('Variant'),
      workingFolder: words('Config', 'WorkingDir') || '/',
      user: words('Config', 'User'),
      environment: Object.fromEntries(
        variables.map((one) => [one.slice(0, one.indexOf('=')), one.slice(one.indexOf('=') + 1)]),
      ),
    };
  } catch (error) {
    if (error instanceof Failure && error.kind === 'not-found') return undefined;
    throw error;
  }
}

/** An image with everything that belongs to it, as `docker save` writes it: a tar stream. The engine first puts it together on its disk. */
export function saveImage(engine: EngineConnection, name: string, signal?: AbortSignal): AsyncGenerator<Buffer> {
  return engineStream(engine, { method: 'GET', path: `/images/${name}/get`, signal, timeoutMs: Infinity });
}

/**
 * Removes an image together with its untagged parents. True when it is gone; false when something still needs it, which
 * is the engine's decision to make.
 */
export async function removeImage(engine: EngineConnection, name: string, signal?: AbortSignal): Promise<boolean> {
  try {
    await engineJson(engine, { method: 'DELETE', path: `/images/${name}`, signal });
    return true;
  } catch (error) {
    if (error instanceof Failure && error.kind === 'not-found') return true;
    if (error instanceof Failure && error.kind === 'refused') return false;
    throw error;
  }
}

/** Removes one image, and none of its parents, if no tag, no container and no other image needs it. */
export async function removeUntaggedImage(engine: EngineConnection, id: string, signal?: AbortSignal): Promise<void> {
  try {
    await engineJson(engine, { method: 'DELETE', path: `/images/${id}`, query: { noprune: true }, signal });
  } catch (error) {
    if (!(error instanceof Failure && (error.kind === 'not-found' || error.kind === 'refused'))) throw error;
  }
}

/** Gives an image a further name, `repository:tag`, which another one may have had until then. */
export async function tagImage(
  engine: EngineConnection,
  id: string,
  name: string,
  signal?: AbortSignal,
): Promise<void> {
  const colon = name.lastIndexOf(':');
  const query =
    colon > name.lastIndexOf('/') ? { repo: name.slice(0, colon), tag: name.slice(colon + 1) } : { repo: name };
  await engineJson(engine, { method: 'POST', path: `/images/${id}/tag`, query, signal });
}
