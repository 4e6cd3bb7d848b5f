import type { Worker } from 'node:worker_threads';
import { interrupted } from '../failure/failure.js';
import { startWorker } from '../platform/start-worker.js';
import type { HashPiece, HashReply, HashThreadStart } from './hash-thread.js';

/** Where bytes are copied that are not in shared memory. */
const slotSize = 1024 * 1024;
const slotCount = 3;
/** It keeps nothing. */
const threadMemory = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32 };

interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

/** Hashes series of bytes in a thread of its own. */
export class ThreadHash {
  readonly #worker: Worker;
  /** Who waits for a piece, in the order in which the thread answers. */
  readonly #pieces: Waiting<void>[] = [];
  #digests: Waiting<readonly (readonly string[])[]> | undefined;
  #failure: Error | undefined;
  #isClosing = false;
  #slots: Uint8Array[] | undefined;
  readonly #slotsInUse: Promise<void>[] = [];
  #lastCopy: Promise<void> = Promise.resolve();

  /** @param algorithms for each series, the hashes to make of it, as `crypto.createHash` names them */
  constructor(algorithms: readonly (readonly string[])[]) {
    this.#worker = startWorker('./hash-thread', import.meta.url, {
      onMessage: (reply: HashReply) => {
        if (reply === 'hashed') this.#pieces.shift()?.resolve();
        else {
          this.#digests?.resolve(reply.digests);
          this.#digests = undefined;
        }
        const isIdle = this.#pieces.length === 0 && this.#digests === undefined;
        if (isIdle && !this.#isClosing) this.#worker.unref();
      },
      onError: (error) => {
        this.#fail(error);
      },
      resourceLimits: threadMemory,
    });
    this.#worker.postMessage({ algorithms } satisfies HashThreadStart);
  }

  /** Takes the next bytes of a series, which lie in shared memory and may change again when this is done. */
  async addShared(series: number, bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await new Promise<void>((resolve, reject) => {
      this.#pieces.push({ resolve, reject });
      // Whoever waits keeps the process alive.
      this.#worker.ref();
      this.#worker.postMessage({ series, bytes } satisfies HashPiece);
    });
  }

  /** Takes the next bytes of a series, which may change again when they are copied, which is when this is done. */
  async add(series: number, bytes: Uint8Array): Promise<void> {
    const before = this.#lastCopy;
    this.#lastCopy = (async () => {
      await before;
      for (let at = 0; at < bytes.length; at += slotSize) {
        await this.#copy(series, bytes.subarray(at, at + slotSize));
      }
    })();
    await this.#lastCopy;
  }

  /** The digests of every series, in the order of its algorithms, in hexadecimal. Nothing can be added then. */
  digests(): Promise<readonly (readonly string[])[]> {
    return new Promise((resolve, reject) => {
      this.#digests = { resolve, reject };
      if (this.#failure === undefined) this.#worker.postMessage('end');
      else reject(this.#failure);
      this.#worker.ref();
    });
  }

  async close(): Promise<void> {
    // What still arrives must not let go of the process, which waits for the thread to end.
    this.#isClosing = true;
    await this.#worker.terminate();
    this.#fail(interrupted());
  }

  /** Ends whoever waits. */
  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#pieces.splice(0)) reject(this.#failure);
    this.#digests?.reject(this.#failure);
  }

  async #copy(series: number, bytes: Uint8Array): Promise<void> {
    this.#slots ??= Array.from({ length: slotCount }, () => new Uint8Array(new SharedArrayBuffer(slotSize)));
    if (this.#slotsInUse.length === slotCount) await this.#slotsInUse.shift();
    const slot = this.#slots.shift();
    if (slot === undefined) return;
    this.#slots.push(slot);
    slot.set(bytes);
    const hashed = this.addShared(series, slot.subarray(0, bytes.length));
    // Whoever needs the slot again gets its failure.
    hashed.catch(() => undefined);
    this.#slotsInUse.push(hashed);
  }
}
