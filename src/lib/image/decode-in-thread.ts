import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import { interrupted } from '../failure/failure.js';
import { startWorker } from '../platform/start-worker.js';
import { archiveCorrupt } from './archive-corrupt.js';
import type { DecodeOptions } from './decode-options.js';
import {
  counterOf,
  type ThreadFormat,
  type ThreadInput,
  type ThreadReply,
  type ThreadStart,
} from './decoder-thread.js';

/** Chunks of packed bytes on their way to a thread. */
const inputAhead = 2;

/** Chunks of 1 MiB that a thread is ahead when nothing else is said. */
const usualAhead = 3;

/** Unpacks in a thread of its own. Damage is `archive-corrupt`. */
export async function* decodeInThread(
  format: ThreadFormat,
  input: AsyncIterable<Buffer>,
  options: DecodeOptions,
): AsyncGenerator<Buffer> {
  const thread = new DecoderThread();
  try {
    yield* thread.start(format, input, options);
  } finally {
    await thread.close();
  }
}

/** A thread that unpacks one archive after the other. */
export class DecoderThread {
  readonly #worker: Worker;
  #job: ThreadJob | undefined;

  constructor() {
    this.#worker = startWorker('./decoder-thread', import.meta.url, {
      onMessage: () => undefined,
      onError: (error) => this.#job?.fail(error),
    });
  }

  /** Starts to unpack at once, up to so many chunks of 1 MiB ahead of whoever takes them. */
  start(
    format: ThreadFormat,
    input: AsyncIterable<Buffer>,
    options: DecodeOptions,
    ahead: number = usualAhead,
  ): AsyncIterable<Buffer> {
    const { port1, port2 } = new MessageChannel();
    const counters = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));
    this.#worker.postMessage({ format, port: port2, ahead, counters } satisfies ThreadStart, [port2]);
    this.#job = new ThreadJob(port1, counters, input, options);
    return this.#job;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** What one thread unpacks of one archive. */
class ThreadJob implements AsyncIterable<Buffer> {
  readonly #port: MessagePort;
  readonly #counters: Int32Array;
  readonly #input: AsyncIterator<Buffer>;
  readonly #options: DecodeOptions;
  readonly #replies: ThreadReply[] = [];
  #failure: { readonly error: unknown } | undefined;
  #inputEnded = false;
  #feeding: Promise<void> = Promise.resolve();
  #wake: () => void = () => undefined;

  constructor(port: MessagePort, counters: Int32Array, input: AsyncIterable<Buffer>, options: DecodeOptions) {
    this.#port = port;
    this.#counters = counters;
    this.#input = input[Symbol.asyncIterator]();
    this.#options = options;
    port.on('message', (reply: ThreadReply) => {
      if (reply.kind === 'more') this.#feed();
      else this.#replies.push(reply);
      this.#wake();
    });
    options.signal.addEventListener('abort', this.#interrupt, { once: true });
    if (options.signal.aborted) this.#interrupt();
    for (let count = 0; count < inputAhead; count += 1) this.#feed();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure.error;
        const reply = this.#replies.shift();
        if (reply === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
        else if (reply.kind === 'end') return;
        else if (reply.kind === 'corrupt') throw archiveCorrupt(this.#options.name, reply.detail);
        else if (reply.kind === 'bytes') {
          const { buffer, byteOffset, length } = reply.bytes;
          yield Buffer.from(buffer, byteOffset, length);
          this.#count(counterOf.taken);
        }
      }
    } finally {
      this.#options.signal.removeEventListener('abort', this.#interrupt);
      this.#port.close();
    }
  }

  /** Ends whoever takes the bytes with a failure. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }

  readonly #interrupt = (): void => {
    this.fail(interrupted());
  };

  /** Gives the thread one more chunk, after those before it. */
  #feed(): void {
    this.#feeding = this.#feeding
      .then(() => this.#feedOne())
      .catch((error: unknown) => {
        this.fail(error);
      });
  }

  async #feedOne(): Promise<void> {
    if (this.#inputEnded) return;
    const next = await this.#input.next();
    this.#inputEnded = next.done === true;
    this.#port.postMessage((next.done === true ? null : next.value) satisfies ThreadInput);
    this.#count(counterOf.sent);
  }

  #count(index: number): void {
    Atomics.add(this.#counters, index, 1);
    Atomics.notify(this.#counters, index);
  }
}
