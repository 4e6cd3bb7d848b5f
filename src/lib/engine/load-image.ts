import type { Readable } from 'node:stream';
import { Failure } from '../failure/failure.js';
import { isRecord } from '../platform/json.js';
import { valueAt } from './engine-answer.js';
import type { EngineConnection } from './engine-connection.js';
import { engineStream } from './engine-request.js';
import { textLines } from './text-lines.js';

/** What is loaded into an engine. */
export interface LoadRequest {
  /** A tar in the format of `docker save`. Layers that the engine has already may be left out of it, unless it keeps images in containerd. */
  readonly tar: Readable;
  /** Hears how many bytes have gone. */
  readonly onSent?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Loads images with `POST /images/load` and returns the IDs of those without a tag. The engine reads the whole tar before it
 * takes anything out of it, so that one that breaks off changes nothing.
 */
export async function loadImage(engine: EngineConnection, { tar, onSent, signal }: LoadRequest): Promise<string[]> {
  const answer = engineStream(engine, {
    method: 'POST',
    path: '/images/load',
    query: { quiet: true },
    body: onSent === undefined ? { tar } : { tar, onSent },
    signal,
    timeoutMs: Infinity,
  });
  const ids: string[] = [];
  let hasAnswered = false;
  try {
    for await (const line of textLines(answer)) {
      if (line.trim() === '') continue;
      const message = parsed(line);
      const error = valueAt(message, 'errorDetail', 'message') ?? valueAt(message, 'error');
      if (typeof error === 'string')
        throw new Failure('failed', 'image-refused', `the engine refuses the image: ${error}`, {
          hint: 'See whether there is room on the device: df -h /mnt/data',
        });
      const text = valueAt(message, 'stream');
      hasAnswered ||= typeof text === 'string';
      const id = typeof text === 'string' ? /sha256:[0-9a-f]{64}/.exec(text)?.[0] : undefined;
      if (id !== undefined) ids.push(id);
    }
  } finally {
    tar.destroy();
  }
  if (hasAnswered) return ids;
  throw new Failure('unreachable', 'load-cut-off', 'the engine ended the loading of the image without a result', {
    hint: "Push again; if it happens again, look at the engine's log on the device: journalctl -u balena-engine",
  });
}

function parsed(line: string): unknown {
  try {
    const message: unknown = JSON.parse(line);
    return isRecord(message) ? message : undefined;
  } catch {
    // Words that are no JSON are no result.
    return undefined;
  }
}
