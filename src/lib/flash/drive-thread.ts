// The thread of one drive. It waits for the drive so that nothing else has to: Node's own threads for files are four for all of them, and a
// few slow cards would take them all.
import { fdatasyncSync, readSync, writeSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { crc32 } from 'node:zlib';
import { alignedBuffer } from './aligned-memory.js';

/** What the thread is told first. */
export interface DriveThreadStart {
  /** The open drive. */
  readonly descriptor: number;
  /** One word of shared memory: while it is not 0, nothing is begun and requests are answered as stopped. */
  readonly stop: Int32Array;
}

/** A run of bytes on a drive and the CRC-32 of what is to be there. */
export interface WrittenRun {
  readonly start: number;
  readonly size: number;
  readonly checksum: number;
}

/** Bytes for a drive, in aligned shared memory. */
export interface DrivePiece {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/** What the thread does, one after the other, in the order in which it is asked. */
export type DriveWork =
  | { readonly kind: 'write'; readonly pieces: readonly DrivePiece[] }
  | { readonly kind: 'zero'; readonly ranges: readonly { readonly start: number; readonly size: number }[] }
  | { readonly kind: 'flush' }
  /** Reads runs back and finds those that are not as they should be. */
  | { readonly kind: 'check'; readonly runs: readonly WrittenRun[] };

export interface DriveRequest {
  readonly id: number;
  readonly work: DriveWork;
}

/** How a system call failed. */
export interface DriveFault {
  readonly verb: 'writing' | 'reading back' | 'flushing';
  readonly offset: number | undefined;
  /** The name of the system error; undefined when the drive took or gave nothing, or nothing was begun. */
  readonly code: string | undefined;
  readonly reason: 'error' | 'nothing-moved' | 'stopped';
}

/** How far the thread has come with a request. */
export interface DriveReply {
  readonly id: number;
  /** Bytes written, or read and compared, since the last reply. */
  readonly bytes: number;
  /** Which of the runs to be checked are wrong, since the last reply. */
  readonly wrong: readonly number[];
  /** Whether this is the last reply to the request. */
  readonly isLast: boolean;
  readonly fault?: DriveFault;
}

/** Bytes per system call: enough for any drive to be at full speed, and few enough to stop soon on the slowest. */
const callSize = 1024 * 1024;

/** At most this often does a request say how far it has come. */
const reportMs = 100;

class Fault extends Error {
  readonly fault: DriveFault;

  constructor(fault: DriveFault) {
    super(fault.reason);
    this.fault = fault;
  }
}

class DriveThread {
  readonly #start: DriveThreadStart;
  readonly #own = alignedBuffer(callSize);

  constructor(start: DriveThreadStart) {
    this.#start = start;
  }

  /** Does what it is asked and replies. After a fault it begins nothing more until the stop is lifted. */
  serve({ id, work }: DriveRequest, reply: (reply: DriveReply) => void): void {
    let bytes = 0;
    let wrong: number[] = [];
    let repliedAt = performance.now();
    const answer = (end: Pick<DriveReply, 'isLast' | 'fault'>) => {
      reply({ id, bytes, wrong, ...end });
      bytes = 0;
      wrong = [];
    };
    const done = (count: number) => {
      bytes += count;
      const now = performance.now();
      if (now - repliedAt < reportMs) return;
      repliedAt = now;
      answer({ isLast: false });
    };
    try {
      this.#perform(work, done, (index) => wrong.push(index));
      answer({ isLast: true });
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      Atomics.store(this.#start.stop, 0, 1);
      answer({ isLast: true, fault: error.fault });
    }
  }

  #perform(work: DriveWork, done: (bytes: number) => void, foundWrong: (index: number) => void): void {
    switch (work.kind) {
      case 'write':
        for (const { start, bytes } of work.pieces) this.#write(bytes, start, done);
        break;
      case 'zero':
        this.#own.fill(0);
        for (const { start, size } of work.ranges) {
          for (let at = 0; at < size; at += callSize) {
            this.#write(this.#own.subarray(0, Math.min(callSize, size - at)), start + at, done);
          }
        }
        break;
      case 'flush':
        this.#attempt('flushing', undefined, () => {
          fdatasyncSync(this.#start.descriptor);
          return undefined;
        });
        break;
      case 'check':
        for (const [index, run] of work.runs.entries()) if (!this.#holds(run, done)) foundWrong(index);
    }
  }

  #write(bytes: Uint8Array, start: number, done: (bytes: number) => void): void {
    for (let at = 0; at < bytes.length;) {
      const size = Math.min(callSize, bytes.length - at);
      const written = this.#attempt('writing', start + at, () =>
        writeSync(this.#start.descriptor, bytes, at, size, start + at),
      );
      at += written;
      done(written);
    }
  }

  #holds(run: WrittenRun, done: (bytes: number) => void): boolean {
    let checksum = 0;
    for (let at = 0; at < run.size;) {
      const size = Math.min(callSize, run.size - at);
      const read = this.#attempt('reading back', run.start + at, () =>
        readSync(this.#start.descriptor, this.#own, 0, size, run.start + at),
      );
      checksum = crc32(this.#own.subarray(0, read), checksum);
      at += read;
      done(read);
    }
    return checksum === run.checksum;
  }

  #attempt<T extends number | undefined>(verb: DriveFault['verb'], offset: number | undefined, call: () => T): T {
    if (Atomics.load(this.#start.stop, 0) !== 0) throw new Fault({ verb, offset, code: undefined, reason: 'stopped' });
    let moved: T;
    try {
      moved = call();
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') throw error;
      throw new Fault({ verb, offset, code: error.code, reason: 'error' });
    }
    if (moved === 0) throw new Fault({ verb, offset, code: undefined, reason: 'nothing-moved' });
    return moved;
  }
}

let thread: DriveThread | undefined;
parentPort?.on('message', (message: DriveThreadStart | DriveRequest) => {
  if ('work' in message) {
    thread?.serve(message, (reply) => {
      parentPort?.postMessage(reply);
    });
  } else thread = new DriveThread(message);
});
