import type { Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';

/** The standard streams of a program that another one speaks through. */
interface StandardStreams {
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream;
}

/** Joins standard input and output with a byte stream until the other end has said its last word, or nobody listens any more. */
export async function relay(stream: Duplex, { stdin, stdout }: StandardStreams, signal: AbortSignal): Promise<void> {
  const onAbort = () => {
    stream.destroy();
  };
  signal.addEventListener('abort', onAbort, { once: true });
  stdout.once('error', onAbort);
  try {
    stdin.pipe(stream);
    stream.pipe(stdout, { end: false });
    await finished(stream, { writable: false });
  } catch (error) {
    // Whoever speaks through us ends us when it is done.
    if (!signal.aborted && !stream.destroyed) throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    stdin.unpipe();
    stdin.pause();
    stream.destroy();
  }
}
