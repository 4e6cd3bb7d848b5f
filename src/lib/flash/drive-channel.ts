import type { Worker } from 'node:worker_threads';
import { startWorker } from '../platform/start-worker.js';
import type { DriveFault, DriveReply, DriveRequest, DriveThreadStart, DriveWork } from './drive-thread.js';

/** How the thread of a drive failed to do what it was asked. */
export class DriveFaultError extends Error {
  readonly fault: Omit<DriveFault, 'reason'> & { readonly reason: DriveFault['reason'] | 'stalled' };

  constructor(fault: DriveFaultError['fault']) {
    super(fault.reason);
    this.fault = fault;
  }
}

/** Called with the bytes done since the last call, and how many of them were on the drive already. */
export type BytesListener = (bytes: number, skipped: number) => void;

interface Pending {
  readonly onBytes: BytesListener | undefined;
  readonly wrong: number[];
  readonly resolve: (wrong: readonly number[]) => void;
  readonly reject: (error: Error) => void;
}

/** How long a stopped thread may take to come back from its system call, so that Ctrl-C is over within two seconds. */
const stopMs = 1500;

/** A young generation of this size is plenty for a thread that hardly allocates. */
const threadMemory = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32 };

/**
 * Asks the thread of a drive to do things. Requests are queued in the thread, so that one follows the other without a pause. A thread that
 * gives no sign of life for too long is given up: what is pending fails as stalled, and so does whatever it is asked later.
 */
export class DriveChannel {
  readonly #worker: Worker;
  readonly #stop = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  readonly #pending = new Map<number, Pending>();
  readonly #stallMs: number;
  #nextId = 0;
  #last: Promise<readonly number[]> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lost: Error | undefined;
  #isHung = false;
  #isStopped = false;

  /** @param stallMs how long a single request to the drive may take, in milliseconds */
  constructor(descriptor: number, stallMs: number) {
    this.#stallMs = stallMs;
    this.#worker = startWorker('./drive-thread', import.meta.url, {
      onMessage: (reply: DriveReply) => {
        this.#onReply(reply);
      },
      onError: (error) => {
        this.#lose(error);
      },
      resourceLimits: threadMemory,
    });
    this.#worker.postMessage({ descriptor, stop: this.#stop } satisfies DriveThreadStart);
  }

  /** Whether the thread was given up while it is in a system call on the drive, whose descriptor must stay open. */
  get isHung(): boolean {
    return this.#isHung;
  }

  /** Has the thread do something, after all it was asked before. Gives the indices of what was compared and found wrong. */
  request(work: DriveWork, onBytes?: BytesListener): Promise<readonly number[]> {
    this.#last = new Promise((resolve, reject) => {
      if (this.#lost !== undefined) {
        reject(this.#lost);
        return;
      }
      const id = this.#nextId;
      this.#nextId += 1;
      this.#pending.set(id, { onBytes, wrong: [], resolve, reject });
      if (this.#pending.size === 1) this.#watch(this.#stallMs);
      this.#worker.postMessage({ id, work } satisfies DriveRequest);
    });
    return this.#last;
  }

  /** Has the thread end what it is doing after the present system call; what is pending fails as stopped. */
  stop(): void {
    this.#isStopped = true;
    const before = Atomics.exchange(this.#stop, 0, 1);
    if (before === 0 && this.#pending.size > 0) this.#watch(stopMs);
  }

  /** Lets the thread work again after a fault, once nothing is pending any more; a stop remains, and a thread that was given up stays so. */
  recover(): void {
    if (this.#lost === undefined && !this.#isStopped) Atomics.store(this.#stop, 0, 0);
  }

  /** Lets the thread work again after a stop as well. */
  resume(): void {
    this.#isStopped = false;
    this.recover();
  }

  /** Waits until nothing is pending any more, done or failed. */
  async idle(): Promise<void> {
    while (this.#last !== undefined && this.#pending.size > 0) await Promise.allSettled([this.#last]);
  }

  /** Ends the thread, once nothing is pending. One that hangs is left to itself; when its system call returns, it begins nothing more. */
  async end(): Promise<void> {
    await this.idle();
    if (!this.#isHung) await this.#worker.terminate();
  }

  #onReply({ id, bytes, skipped, wrong, isLast, fault }: DriveReply): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    pending.wrong.push(...wrong);
    if (bytes > 0) pending.onBytes?.(bytes, skipped);
    if (isLast) this.#pending.delete(id);
    if (this.#pending.size === 0) clearTimeout(this.#timer);
    else this.#watch(Atomics.load(this.#stop, 0) === 0 ? this.#stallMs : stopMs);
    if (!isLast) return;
    if (fault === undefined) pending.resolve(pending.wrong);
    else pending.reject(new DriveFaultError(fault));
  }

  #watch(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#isHung = true;
      const isStopped = Atomics.load(this.#stop, 0) !== 0;
      const reason = isStopped ? 'stopped' : 'stalled';
      this.#lose(new DriveFaultError({ verb: 'writing', offset: undefined, code: undefined, reason }));
    }, milliseconds);
  }

  #lose(error: Error): void {
    this.#lost = error;
    clearTimeout(this.#timer);
    Atomics.store(this.#stop, 0, 1);
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}
