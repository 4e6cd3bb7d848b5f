import type { Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import { Failure } from '../failure/failure.js';

/** The standard streams of a program that another one speaks through. */
interface StandardStreams {
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: NodeJS.WritableStream;
}

/**
 * Joins standard input and output with a byte stream until the other end has said its last word, or nobody listens any more. Fails with what
 * breaks the stream.
 */
export async function relay(stream: Duplex, { stdin, stdout }: StandardStreams, signal: AbortSignal): Promise<void> {
  const left = new AbortController();
  const leave = () => {
    left.abort();
    stream.destroy();
  };
  signal.addEventListener('abort', leave, { once: true });
  stdout.once('error', leave);
  try {
    stdin.pipe(stream);
    stream.pipe(stdout, { end: false });
    await finished(stream, { writable: false });
  } catch (error) {
    // Whoever speaks through us ends us when it is done.
    if (left.signal.aborted) return;
    if (error instanceof Failure) throw error;
    throw new Failure('unreachable', 'connection-lost', 'the connection to the device was lost', {
      hint: 'Check that the device is still on and in the network',
      cause: error,
    });
  } finally {
    signal.removeEventListener('abort', leave);
    stdin.unpipe();
    stdin.pause();
    stream.destroy();
  }
}
