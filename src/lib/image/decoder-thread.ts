// A thread that unpacks, so that the main thread need not. It waits for its input and for its output to be taken by blocking, because
// decoders in WebAssembly take their input synchronously.
import { type MessagePort, parentPort, receiveMessageOnPort } from 'node:worker_threads';
import { ReadableStream } from 'node:stream/web';

/** What a thread can unpack. */
export type ThreadFormat = 'xz' | 'zstd';

/** What the thread is told before the bytes of an archive. */
export interface ThreadStart {
  readonly format: ThreadFormat;
  /** Where the bytes come from and go to. */
  readonly port: MessagePort;
  /** Shared memory for the chunks that wait to be taken, each of `threadChunkSize`. */
  readonly output: Uint8Array;
  /** Shared counters: of messages sent to the thread, and of chunks taken from it. */
  readonly counters: Int32Array;
}

/** Packed bytes, or null at their end. */
export type ThreadInput = Uint8Array | null;

/** What the thread says. */
export type ThreadReply =
  | { readonly kind: 'more' }
  /** So many bytes are in the next chunk. */
  | { readonly kind: 'bytes'; readonly size: number }
  | { readonly kind: 'end' }
  | { readonly kind: 'corrupt'; readonly detail: string };

/** Where the counters lie. */
export const counterOf = { sent: 0, taken: 1 } as const;

/** Bytes that a thread gives at a time. */
export const threadChunkSize = 1024 * 1024;

/** More steps of a decoder in a row that give nothing than any good archive causes. */
const mostEmptySteps = 100;

class Corrupt extends Error {}

/** The bytes of one archive on their way through the thread. */
class Job {
  readonly #start: ThreadStart;
  #sent = 0;
  #filled = 0;

  constructor(start: ThreadStart) {
    this.#start = start;
  }

  /** The next packed bytes, once they are there. */
  next(): ThreadInput {
    const { counters, port } = this.#start;
    for (;;) {
      const seen = Atomics.load(counters, counterOf.sent);
      const received: { readonly message: ThreadInput } | undefined = receiveMessageOnPort(port);
      if (received !== undefined) {
        this.#reply({ kind: 'more' });
        return received.message;
      }
      Atomics.wait(counters, counterOf.sent, seen);
    }
  }

  *input(): Generator<Uint8Array> {
    for (let bytes = this.next(); bytes !== null; bytes = this.next()) yield bytes;
  }

  give(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#filled === 0) this.#awaitRoom();
      const piece = bytes.subarray(at, at + threadChunkSize - this.#filled);
      this.#start.output.set(piece, (this.#sent % this.#chunks) * threadChunkSize + this.#filled);
      at += piece.length;
      this.#filled += piece.length;
      if (this.#filled === threadChunkSize) this.#send();
    }
  }

  end(): void {
    if (this.#filled > 0) this.#send();
    this.#reply({ kind: 'end' });
  }

  fail(error: unknown): void {
    this.#reply({
      kind: 'corrupt',
      detail: error instanceof Corrupt ? error.message : 'it ends too early or does not decode',
    });
  }

  get #chunks(): number {
    return this.#start.output.length / threadChunkSize;
  }

  #awaitRoom(): void {
    const { counters } = this.#start;
    for (;;) {
      const taken = Atomics.load(counters, counterOf.taken);
      if (this.#sent - taken < this.#chunks) return;
      Atomics.wait(counters, counterOf.taken, taken);
    }
  }

  #send(): void {
    this.#reply({ kind: 'bytes', size: this.#filled });
    this.#sent += 1;
    this.#filled = 0;
  }

  #reply(reply: ThreadReply): void {
    this.#start.port.postMessage(reply);
  }
}

/** Unpacks the bytes of a job; what it throws is damage. */
type Unpack = (job: Job) => Promise<void> | void;

async function loadZstd(): Promise<Unpack> {
  const { ZSTDDecoder } = await import('zstddec/stream');
  const decoder = new ZSTDDecoder();
  await decoder.init();
  return (job) => {
    let emptySteps = 0;
    for (const bytes of decoder.decodeStreaming(job.input())) {
      job.give(bytes);
      // It does not report a block that does not decode, but gives nothing for ever.
      emptySteps = bytes.length === 0 ? emptySteps + 1 : 0;
      if (emptySteps > mostEmptySteps) throw new Corrupt('it does not decode');
    }
  };
}

type XzPackage = Pick<typeof import('xz-decompress'), 'XzReadableStream'>;

async function loadXz(): Promise<Unpack> {
  // Node itself finds no names in what its bundler made of it.
  const loaded: Partial<XzPackage> & { readonly default: XzPackage } = await import('xz-decompress');
  const XzReadableStream = loaded.XzReadableStream ?? loaded.default.XzReadableStream;
  return async (job) => {
    const input = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        const bytes = job.next();
        if (bytes === null) controller.close();
        else controller.enqueue(bytes);
      },
    });
    for await (const bytes of new XzReadableStream(input)) job.give(bytes);
  };
}

const loaders: Readonly<Record<ThreadFormat, () => Promise<Unpack>>> = { xz: loadXz, zstd: loadZstd };

/** What is thrown here ends the thread, because it is not the archive's fault. */
async function serve(start: ThreadStart): Promise<void> {
  const unpack = await loaders[start.format]();
  const job = new Job(start);
  try {
    await unpack(job);
  } catch (error) {
    job.fail(error);
    return;
  }
  job.end();
}

parentPort?.on('message', (start: ThreadStart) => {
  void serve(start);
});
