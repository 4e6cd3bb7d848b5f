// The thread of one drive. It waits for the drive so that nothing else has to: Node's own threads for files are four for all of them, and a
// few slow cards would take them all.
import { fdatasyncSync, readSync, writeSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { crc32 } from 'node:zlib';
import { alignedBuffer } from './aligned-memory.js';
import { differingRanges } from './differing-ranges.js';

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
  /** Reads what is there first, writes only what differs, and finds the pieces of which anything did. */
  | { readonly kind: 'rewrite'; readonly pieces: readonly DrivePiece[] }
  /** Reads into the pieces. */
  | { readonly kind: 'read'; readonly pieces: readonly DrivePiece[] }
  | { readonly kind: 'zero'; readonly ranges: readonly { readonly start: number; readonly size: number }[] }
  | { readonly kind: 'flush' }
  /** Reads runs back and finds those that are not as they should be, up to so many. */
  | { readonly kind: 'check'; readonly runs: readonly WrittenRun[]; readonly most: number };

export interface DriveRequest {
  readonly id: number;
  readonly work: DriveWork;
}

/** How a system call failed. */
export interface DriveFault {
  readonly verb: 'writing' | 'reading' | 'reading back' | 'flushing';
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
  /** How many of them were to be written but were there already. */
  readonly skipped: number;
  /** Which of the runs or pieces that were compared are not on the drive as they should be, since the last reply. */
  readonly wrong: readonly number[];
  /** Whether this is the last reply to the request. */
  readonly isLast: boolean;
  readonly fault?: DriveFault;
}

/** Bytes per system call: enough for any drive to be at full speed, and few enough to stop soon on the slowest. */
const callSize = 1024 * 1024;

/** Called with bytes that are done, and how many of them did not have to be. */
type DoneListener = (bytes: number, skipped: number) => void;

/** At most this often does a request say how far it has come. */
const reportMs = 100;

/** What Linux says when a place of a medium cannot be read: a fault, and sectors that the drive knows to be bad or badly protected. */
const mediumErrors = ['EIO', 'ENODATA', 'EILSEQ'];

/** So many runs may be unreadable before a drive is taken to be dead. */
const mostUnreadable = 4;

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
    let skipped = 0;
    let wrong: number[] = [];
    let repliedAt = performance.now();
    const answer = (end: Pick<DriveReply, 'isLast' | 'fault'>) => {
      reply({ id, bytes, skipped, wrong, ...end });
      bytes = 0;
      skipped = 0;
      wrong = [];
    };
    const done: DoneListener = (count, skippedCount) => {
      bytes += count;
      skipped += skippedCount;
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

  #perform(work: DriveWork, done: DoneListener, foundWrong: (index: number) => void): void {
    switch (work.kind) {
      case 'write':
        for (const { start, bytes } of work.pieces) this.#write(bytes, start, done);
        break;
      case 'rewrite':
        for (const [index, piece] of work.pieces.entries()) if (!this.#rewrite(piece, done)) foundWrong(index);
        break;
      case 'read':
        for (const { start, bytes } of work.pieces) {
          for (let at = 0; at < bytes.length;) at += this.#read('reading', bytes.subarray(at), start + at);
        }
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
        this.#check(work, done, foundWrong);
    }
  }

  #write(bytes: Uint8Array, start: number, done: DoneListener): void {
    for (let at = 0; at < bytes.length;) {
      const size = Math.min(callSize, bytes.length - at);
      const written = this.#attempt('writing', start + at, () =>
        writeSync(this.#start.descriptor, bytes, at, size, start + at),
      );
      at += written;
      done(written, 0);
    }
  }

  #read(verb: DriveFault['verb'], into: Uint8Array, start: number): number {
    return this.#attempt(verb, start, () => readSync(this.#start.descriptor, into, 0, into.length, start));
  }

  #check(
    { runs, most }: Extract<DriveWork, { kind: 'check' }>,
    done: DoneListener,
    foundWrong: (index: number) => void,
  ): void {
    let wrong = 0;
    let unreadable = 0;
    for (const [index, run] of runs.entries()) {
      if (wrong === most) return;
      try {
        if (this.#holds(run, done)) continue;
      } catch (error) {
        // Of a drive that is gone nothing can be read, and asking a dying one for more takes long.
        unreadable += 1;
        if (!(error instanceof Fault) || unreadable > mostUnreadable) throw error;
        if (!mediumErrors.includes(error.fault.code ?? '')) throw error;
      }
      wrong += 1;
      foundWrong(index);
    }
  }

  #holds(run: WrittenRun, done: DoneListener): boolean {
    let checksum = 0;
    for (let at = 0; at < run.size;) {
      const size = Math.min(callSize, run.size - at);
      const read = this.#read('reading back', this.#own.subarray(0, size), run.start + at);
      checksum = crc32(this.#own.subarray(0, read), checksum);
      at += read;
      done(read, 0);
    }
    return checksum === run.checksum;
  }

  /** Whether the drive held all of a piece already. */
  #rewrite({ start, bytes }: DrivePiece, done: DoneListener): boolean {
    let wasThere = true;
    for (let at = 0; at < bytes.length; at += callSize) {
      const wanted = bytes.subarray(at, at + callSize);
      const ranges = differingRanges(wanted, this.#readable(wanted.length, start + at));
      let skipped = wanted.length;
      for (const range of ranges) {
        this.#write(wanted.subarray(range.start, range.start + range.size), start + at + range.start, () => undefined);
        skipped -= range.size;
        wasThere = false;
      }
      done(wanted.length, skipped);
    }
    return wasThere;
  }

  /** What the drive holds, or less where it cannot be read: writing may cure that, and if it does not, says so itself. */
  #readable(size: number, start: number): Uint8Array {
    let filled = 0;
    try {
      while (filled < size) filled += this.#read('reading', this.#own.subarray(filled, size), start + filled);
    } catch (error) {
      if (!(error instanceof Fault) || error.fault.reason !== 'error') throw error;
    }
    return this.#own.subarray(0, filled);
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
