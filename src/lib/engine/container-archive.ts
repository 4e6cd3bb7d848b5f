import { Readable } from 'node:stream';
import { Failure } from '../failure/failure.js';
import type { EngineConnection } from './engine-connection.js';
import { engineJson, engineStream } from './engine-request.js';

/** A container on an engine. */
export interface EngineContainer {
  readonly engine: EngineConnection;
  readonly id: string;
}

/** What a path in a container is. */
export type ArchivedKind = 'file' | 'folder' | 'link';

/** A file or folder of a container, running or not, as a tar stream that begins with its own name. */
export function readArchive(
  { engine, id }: EngineContainer,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  return engineStream(engine, { method: 'GET', path: `/containers/${id}/archive`, query: { path }, signal });
}

/** Unpacks a tar stream in a folder of a container. */
export async function writeArchive(
  { engine, id }: EngineContainer,
  folder: string,
  tar: Readable,
  signal: AbortSignal,
): Promise<void> {
  const path = `/containers/${id}/archive`;
  await engineJson(engine, {
    method: 'PUT',
    path,
    query: { path: folder },
    body: { tar },
    signal,
    timeoutMs: Infinity,
  });
}

/** What is at a path, and where it leads if it is a link; undefined when there is nothing. */
export async function lookInArchive(
  container: EngineContainer,
  path: string,
  signal: AbortSignal,
): Promise<{ readonly kind: ArchivedKind; readonly link: string | undefined } | undefined> {
  const { default: tar } = await import('tar-stream');
  const extract = tar.extract();
  const source = Readable.from(readArchive(container, path, signal));
  source.on('error', (error) => {
    extract.destroy(error);
  });
  source.pipe(extract);
  try {
    // The first entry says it; the rest is not fetched.
    for await (const { header } of extract) {
      const kind = header.type === 'directory' ? 'folder' : header.type === 'symlink' ? 'link' : 'file';
      return { kind, link: header.linkname };
    }
  } catch (error) {
    if (!(error instanceof Failure && error.kind === 'not-found')) throw error;
  } finally {
    source.destroy();
  }
  return undefined;
}
