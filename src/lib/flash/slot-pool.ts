import { interrupted } from '../failure/failure.js';

/** Memory that direct I/O accepts: Node has no way to ask for alignment, but WebAssembly memory begins on a page. */
declare const WebAssembly: {
  readonly Memory: new (options: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
};

const wasmPageSize = 64 * 1024;

/** A page-aligned buffer of zeros. `size` is a multiple of 64 KiB. */
export function alignedBuffer(size: number): Buffer {
  return Buffer.from(new WebAssembly.Memory({ initial: size / wasmPageSize }).buffer);
}

/** A piece of aligned memory on loan. */
export interface Slot {
  readonly bytes: Buffer;
}

/** A fixed number of aligned buffers; who wants one waits until one is given back, which bounds the memory of a flash. */
export class SlotPool {
  readonly slotSize: number;
  readonly #free: Slot[];
  readonly #waiting: ((slot: Slot) => void)[] = [];

  constructor(count: number, slotSize: number) {
    const memory = alignedBuffer(count * slotSize);
    this.slotSize = slotSize;
    this.#free = Array.from({ length: count }, (_, index) => ({
      bytes: memory.subarray(index * slotSize, (index + 1) * slotSize),
    }));
  }

  /** Lends a slot; its content is whatever was in it. */
  async take(signal: AbortSignal): Promise<Slot> {
    if (signal.aborted) throw interrupted();
    const slot = this.#free.pop();
    // Slots come back when requests to a drive end, which they do, well or badly, also after an abort.
    return slot ?? new Promise((resolve) => this.#waiting.push(resolve));
  }

  giveBack(slot: Slot): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(slot);
    else next(slot);
  }
}
