import { Readable } from 'node:stream';
import { interrupted } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import type { ImageOrigin } from './image-origin.js';

/** Standard input as the origin of an image: it comes once, in order, and nobody knows how much. */
export function standardInputOrigin(standardInput: NodeJS.ReadableStream, signal: AbortSignal): ImageOrigin {
  // Waiting for input that does not come must end as well, and must not keep the process alive.
  const stop = () => {
    if (standardInput instanceof Readable) standardInput.destroy();
  };
  signal.addEventListener('abort', stop, { once: true });
  const bytes = async function* () {
    try {
      for await (const chunk of standardInput) yield Buffer.from(chunk);
    } catch (error) {
      throw signal.aborted ? interrupted() : whileDoing('reading standard input', error);
    }
  };
  return {
    name: 'standard input',
    size: undefined,
    identity: undefined,
    reader: undefined,
    file: undefined,
    stream: bytes,
    requireUnchanged: () => Promise.resolve(),
    reopen: undefined,
    stop,
    close: () => {
      signal.removeEventListener('abort', stop);
      return Promise.resolve();
    },
  };
}
