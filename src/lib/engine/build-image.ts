import type { Readable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { Failure } from '../failure/failure.js';
import { numberAt, valueAt } from './engine-answer.js';
import type { EngineConnection } from './engine-connection.js';
import { engineStream } from './engine-request.js';
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
 * ID. Aborting closes the connection, upon which the engine kills the running step and removes its container.
 *
 * `cachefrom` is not sent: with it, an engine reuses only steps of the images listed there instead of all it ever built.
 */
export async function buildImage(
  engine: EngineConnection,
  request: BuildRequest,
  listener: BuildListener,
): Promise<string> {
  const { context, dockerfile, tag, labels, noCache, pull, signal } = request;
  const answer = engineStream(engine, {
    method: 'POST',
    path: '/build',
    query: { t: tag, dockerfile, labels, nocache: noCache, pull, rm: true, forcerm: true },
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
  const output = new OutputLines((text) => {
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
  } finally {
    output.end();
    context.destroy();
  }
  if (imageId !== undefined) return imageId;
  throw new Failure('unreachable', 'build-cut-off', 'the engine ended the build without a result', {
    hint: "Push again; if it happens again, look at the engine's log on the device: journalctl -u balena-engine",
  });
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
