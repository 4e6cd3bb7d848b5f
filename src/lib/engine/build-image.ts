import type { Readable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { Failure } from '../failure/failure.js';
import type { Json, JsonObject } from '../platform/json.js';
import { type BeforeBuild, BuildTraces } from './build-traces.js';
import { numberAt, valueAt } from './engine-answer.js';
import type { EngineConnection } from './engine-connection.js';
import { engineStream } from './engine-request.js';
import { encodedHeader, type RegistryLogins } from './pull-image.js';
import { textLines } from './text-lines.js';

/** What the engine's classic builder is asked to build. */
export interface BuildRequest {
  /** The build context as a tar stream; destroyed when the build ends. */
  readonly context: Readable;
  /** The Dockerfile's path within the context. */
  readonly dockerfile: string;
  readonly tag: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly noCache: boolean;
  /** Whether base images are pulled even when the engine has them. */
  readonly pull: boolean;
  /** Logins for the registries of base images. */
  readonly logins?: RegistryLogins;
  /** Hosts that its steps know, each as `name:address`. */
  readonly extraHosts?: readonly string[];
  /** Further parameters of the API's `POST /build`. */
  readonly parameters?: Readonly<Record<string, Json | undefined>>;
  /** So that an interrupted build leaves nothing of which the engine could not tell us any more. */
  readonly before?: BeforeBuild | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Hears how a build goes on. */
export interface BuildListener {
  /** Bytes of the context handed to the engine so far. */
  readonly sent: (bytes: number) => void;
  /** One line of the build's output, without colour. */
  readonly line: (text: string) => void;
  /** A layer of a base image being pulled; the byte counts are absent once it is done. */
  readonly layer: (id: string, status: string, current?: number, total?: number) => void;
}

/**
 * Builds an image with `POST /build`, which every engine has: BuildKit is left out of balenaEngine. Returns the image's
 * ID. Aborting closes the connection, upon which the engine kills the running step; its container and what the build had
 * made so far are gone before the abort is reported.
 */
export async function buildImage(
  engine: EngineConnection,
  request: BuildRequest,
  listener: BuildListener,
): Promise<string> {
  const { context, dockerfile, tag, labels, noCache, pull, logins = {}, extraHosts = [], parameters, signal } = request;
  const answer = engineStream(engine, {
    method: 'POST',
    path: '/build',
    query: { ...parameters, t: tag, dockerfile, labels, nocache: noCache, pull, rm: true, forcerm: true },
    repeated: { extrahosts: extraHosts },
    headers: Object.keys(logins).length === 0 ? {} : { 'x-registry-config': encodedHeader(loginsAsJson(logins)) },
    body: {
      tar: context,
      onSent: (bytes) => {
        listener.sent(bytes);
      },
    },
    signal,
    timeoutMs: Infinity,
  });
  let imageId: string | undefined;
  const traces = new BuildTraces(request.before);
  const output = new OutputLines((text) => {
    traces.line(text);
    listener.line(text);
  });
  try {
    for await (const line of textLines(answer)) {
      if (line.trim() === '') continue;
      const message: unknown = JSON.parse(line);
      const error = valueAt(message, 'errorDetail', 'message') ?? valueAt(message, 'error');
      if (typeof error === 'string') throw new Failure('failed', 'build-failed', error);
      const id = valueAt(message, 'aux', 'ID');
      if (typeof id === 'string') imageId = id;
      const text = valueAt(message, 'stream');
      if (typeof text === 'string') output.add(text);
      const status = valueAt(message, 'status');
      if (typeof status === 'string') reportStatus(message, status, listener);
    }
  } catch (error) {
    if (signal?.aborted) await traces.remove(engine);
    throw error;
  } finally {
    output.end();
    context.destroy();
  }
  if (imageId !== undefined) return imageId;
  throw new Failure('unreachable', 'build-cut-off', 'the engine ended the build without a result', {
    hint: "Push again; if it happens again, look at the engine's log on the device: journalctl -u balena-engine",
  });
}

function loginsAsJson(logins: RegistryLogins): JsonObject {
  return Object.fromEntries(
    Object.entries(logins).map(([registry, { username, password }]) => [registry, { username, password }]),
  );
}

function reportStatus(message: unknown, status: string, listener: BuildListener): void {
  const id = valueAt(message, 'id');
  if (typeof id !== 'string') listener.line(status);
  else
    listener.layer(
      id,
      status,
      numberAt(message, 'progressDetail', 'current'),
      numberAt(message, 'progressDetail', 'total'),
    );
}

/** The builder sends text in pieces of any size, coloured, with carriage returns where a program redraws its line. */
class OutputLines {
  readonly #onLine: (line: string) => void;
  #partial = '';

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  add(text: string): void {
    const lines = (this.#partial + text).split('\n');
    this.#partial = lines.pop() ?? '';
    for (const line of lines) this.#emit(line);
  }

  end(): void {
    if (this.#partial !== '') this.#emit(this.#partial);
    this.#partial = '';
  }

  #emit(line: string): void {
    const shown = line.replace(/\r+$/, '').split('\r').at(-1) ?? '';
    const plain = stripVTControlCharacters(shown).trimEnd();
    if (plain !== '') this.#onLine(plain);
  }
}
