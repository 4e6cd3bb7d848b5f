import { Failure } from '../failure/failure.js';
import { listAt, numberAt, textAt, textMapAt } from './engine-answer.js';
import type { EngineConnection } from './engine-connection.js';
import { engineJson } from './engine-request.js';

/** One image on an engine. */
export interface ImageSummary {
  /** `sha256:…` */
  readonly id: string;
  readonly tags: readonly string[];
  readonly bytes: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** The images on the engine, without the intermediate ones of builds. */
export async function listImages(engine: EngineConnection, signal?: AbortSignal): Promise<ImageSummary[]> {
  const answer = await engineJson(engine, { method: 'GET', path: '/images/json', signal });
  return (Array.isArray(answer) ? answer : []).map((one: unknown) => ({
    id: textAt(one, 'Id'),
    tags: listAt(one, 'RepoTags').map(String),
    bytes: numberAt(one, 'Size') ?? 0,
    labels: textMapAt(one, 'Labels'),
  }));
}

/** The ID of the image behind a tag or an ID, or undefined when the engine has none. */
export async function findImage(
  engine: EngineConnection,
  name: string,
  signal?: AbortSignal,
): Promise<string | undefined> {
  try {
    return textAt(await engineJson(engine, { method: 'GET', path: `/images/${name}/json`, signal }), 'Id');
  } catch (error) {
    if (error instanceof Failure && error.kind === 'not-found') return undefined;
    throw error;
  }
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
