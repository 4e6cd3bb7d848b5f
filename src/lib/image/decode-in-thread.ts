import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import { interrupted } from '../failure/failure.js';
import { startWorker } from '../platform/start-worker.js';
import { archiveCorrupt } from './archive-corrupt.js';
import type { DecodeOptions } from './decode-options.js';
import {
  counterOf,
  threadChunkSize,
  type ThreadFormat,
  type ThreadInput,
  type ThreadReply,
  type ThreadStart,
} from './decoder-thread.js';

/** Chunks of packed bytes on their way to a thread. */
const inputAhead = 2;

/** Chunks of 1 MiB that a thread is ahead when nothing else is said. */
const usualAhead = 3;

/** Unpacks in a thread of its own. A chunk is good only until the next one is asked for. Damage is `archive-corrupt`. */
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
  #memory: Uint8Array = new Uint8Array(0);
  #job: ThreadJob | undefined;

  constructor() {
    this.#worker = startWorker('./decoder-thread', import.meta.url, {
      onMessage: () => undefined,
      onError: (error) => this.#job?.fail(error),
    });
  }

  /** Starts to unpack at once, up to so many chunks of 1 MiB ahead of whoever takes them. A chunk is good only until the next. */
  start(
    format: ThreadFormat,
    input: AsyncIterable<Buffer>,
    options: DecodeOptions,
    ahead: number = usualAhead,
  ): AsyncIterable<Buffer> {
    const { port1, port2 } = new MessageChannel();
    const size = ahead * threadChunkSize;
    // Whoever took the bytes of the archive before has used them.
    if (this.#memory.length < size) this.#memory = new Uint8Array(new SharedArrayBuffer(size));
    const output = this.#memory.subarray(0, size);
    const counters = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));
    this.#worker.postMessage({ format, port: port2, output, counters } satisfies ThreadStart, [port2]);
    this.#job = new ThreadJob(port1, output, counters, input, options);
    return this.#job;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** What one thread unpacks of one archive. */
class ThreadJob implements AsyncIterable<Buffer> {
  readonly #port: MessagePort;
  readonly #output: Uint8Array;
  readonly #counters: Int32Array;
  readonly #input: AsyncIterator<Buffer>;
  readonly #options: DecodeOptions;
  readonly #replies: ThreadReply[] = [];
  #failure: { readonly error: unknown } | undefined;
  #inputEnded = false;
  #feeding: Promise<void> = Promise.resolve();
  #wake: () => void = () => undefined;

  constructor(
    port: MessagePort,
    output: Uint8Array,
    counters: Int32Array,
    input: AsyncIterable<Buffer>,
    options: DecodeOptions,
  ) {
    this.#port = port;
    this.#output = output;
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
    let taken = 0;
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure.error;
        const reply = this.#replies.shift();
        if (reply === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
        else if (reply.kind === 'end') return;
        else if (reply.kind === 'corrupt') throw archiveCorrupt(this.#options.name, reply.detail);
        else if (reply.kind === 'bytes') {
          yield Buffer.from(this.#output.buffer, (taken * threadChunkSize) % this.#output.length, reply.size);
          taken += 1;
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
