import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';

const zeros = Buffer.alloc(1024 * 1024);

/** After so many zeros others get their turn, Ctrl-C among them. */
const zerosAtOnce = 64 * zeros.length;

/** The SHA-256 of a file with holes, from what lies between them. */
export class SparseDigest {
  readonly #hash = createHash('sha256');
  readonly #signal: AbortSignal;
  #position = 0;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Adds bytes that lie behind all others. */
  async add(start: number, bytes: Buffer): Promise<void> {
    await this.#passHole(start);
    this.#hash.update(bytes);
    this.#position = start + bytes.length;
  }

  /** The sum of a file of a size, as hexadecimal digits. */
  async finish(size: number): Promise<string> {
    await this.#passHole(size);
    return this.#hash.digest('hex');
  }

  async #passHole(end: number): Promise<void> {
    for (let next = this.#position + zerosAtOnce; this.#position < end;) {
      const size = Math.min(zeros.length, end - this.#position);
      this.#hash.update(zeros.subarray(0, size));
      this.#position += size;
      if (this.#position < next) continue;
      next = this.#position + zerosAtOnce;
      this.#signal.throwIfAborted();
      await setImmediate();
    }
  }
}
