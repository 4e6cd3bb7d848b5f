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
  /** Chunks of output that may wait to be taken. */
  readonly ahead: number;
  /** Shared counters: of messages sent to the thread, and of chunks taken from it. */
  readonly counters: Int32Array;
}

/** Packed bytes, or null at their end. */
export type ThreadInput = Uint8Array | null;

/** What the thread says. */
export type ThreadReply =
  | { readonly kind: 'more' }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'end' }
  | { readonly kind: 'corrupt'; readonly detail: string };

/** Where the counters lie. */
export const counterOf = { sent: 0, taken: 1 } as const;

const chunkSize = 1024 * 1024;

/** More steps of a decoder in a row that give nothing than any good archive causes. */
const mostEmptySteps = 100;

class Corrupt extends Error {}

/** The bytes of one archive on their way through the thread. */
class Job {
  readonly #start: ThreadStart;
  #sent = 0;
  #buffer = new Uint8Array(chunkSize);
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
      const piece = bytes.subarray(at, at + chunkSize - this.#filled);
      this.#buffer.set(piece, this.#filled);
      at += piece.length;
      this.#filled += piece.length;
      if (this.#filled === chunkSize) this.#send();
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

  #send(): void {
    const { counters, ahead } = this.#start;
    for (;;) {
      const taken = Atomics.load(counters, counterOf.taken);
      if (this.#sent - taken < ahead) break;
      Atomics.wait(counters, counterOf.taken, taken);
    }
    this.#sent += 1;
    this.#start.port.postMessage(
      { kind: 'bytes', bytes: this.#buffer.subarray(0, this.#filled) } satisfies ThreadReply,
      [this.#buffer.buffer],
    );
    this.#buffer = new Uint8Array(chunkSize);
    this.#filled = 0;
  }

  #reply(reply: ThreadReply): void {
    this.#start.port.postMessage(reply);
  }
}

async function unpackZstd(job: Job): Promise<void> {
  const { ZSTDDecoder } = await import('zstddec/stream');
  const decoder = new ZSTDDecoder();
  await decoder.init();
  let emptySteps = 0;
  for (const bytes of decoder.decodeStreaming(job.input())) {
    job.give(bytes);
    // It does not report a block that does not decode, but gives nothing for ever.
    emptySteps = bytes.length === 0 ? emptySteps + 1 : 0;
    if (emptySteps > mostEmptySteps) throw new Corrupt('it does not decode');
  }
}

async function unpackXz(job: Job): Promise<void> {
  const { XzReadableStream } = await import('xz-decompress');
  const input = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      const bytes = job.next();
      if (bytes === null) controller.close();
      else controller.enqueue(bytes);
    },
  });
  for await (const bytes of new XzReadableStream(input)) job.give(bytes);
}

const unpackers: Readonly<Record<ThreadFormat, (job: Job) => Promise<void>>> = { xz: unpackXz, zstd: unpackZstd };

parentPort?.on('message', (start: ThreadStart) => {
  const job = new Job(start);
  unpackers[start.format](job).then(
    () => {
      job.end();
    },
    (error: unknown) => {
      job.fail(error);
    },
  );
});
