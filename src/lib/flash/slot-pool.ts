import { interrupted } from '../failure/failure.js';
import { alignedBuffer } from './aligned-memory.js';

/** A piece of aligned memory on loan. Whoever holds it lets go of it once; it goes back to its pool when nobody holds it any more. */
export class Slot {
  readonly bytes: Buffer;
  readonly #giveBack: (slot: Slot) => void;
  #holders = 0;

  constructor(bytes: Buffer, giveBack: (slot: Slot) => void) {
    this.bytes = bytes;
    this.#giveBack = giveBack;
  }

  hold(): void {
    this.#holders += 1;
  }

  letGo(): void {
    this.#holders -= 1;
    if (this.#holders === 0) this.#giveBack(this);
  }
}

interface Waiting {
  readonly resolve: (slot: Slot) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A fixed number of aligned buffers; who wants one waits until one is free, which bounds the memory of a flash. The last one is kept for
 * reading what was read before once more: what has been read since waits for that in all the others.
 */
export class SlotPool {
  readonly slotSize: number;
  readonly #signal: AbortSignal;
  readonly #free: Slot[];
  readonly #waiting: Waiting[] = [];
  readonly #waitingAgain: Waiting[] = [];
  #onExhausted: () => void = () => undefined;

  /** @param signal when it is aborted, whoever waits fails with `interrupted` */
  constructor(count: number, slotSize: number, signal: AbortSignal) {
    const memory = alignedBuffer(count * slotSize);
    this.slotSize = slotSize;
    this.#signal = signal;
    this.#free = Array.from(
      { length: count },
      (_, index) =>
        new Slot(memory.subarray(index * slotSize, (index + 1) * slotSize), (slot) => {
          this.#giveBack(slot);
        }),
    );
    signal.addEventListener('abort', () => {
      for (const { reject } of [...this.#waitingAgain.splice(0), ...this.#waiting.splice(0)]) reject(interrupted());
    });
  }

  /** Whether somebody waits for a slot. */
  get isExhausted(): boolean {
    return this.#waiting.length + this.#waitingAgain.length > 0;
  }

  /** Has a listener called whenever somebody has to wait. */
  whenExhausted(listener: () => void): void {
    this.#onExhausted = listener;
  }

  /** Lends a slot for what has not been read yet, held once; its content is whatever was in it. */
  async take(): Promise<Slot> {
    return this.#lend(this.#waiting, 1);
  }

  /** Lends a slot for what is read once more, before all others who wait. */
  async takeAgain(): Promise<Slot> {
    return this.#lend(this.#waitingAgain, 0);
  }

  async #lend(queue: Waiting[], kept: number): Promise<Slot> {
    if (this.#signal.aborted) throw interrupted();
    const slot = (this.#free.length > kept ? this.#free.pop() : undefined) ?? (await this.#wait(queue));
    slot.hold();
    return slot;
  }

  #wait(queue: Waiting[]): Promise<Slot> {
    const waiting = new Promise<Slot>((resolve, reject) => queue.push({ resolve, reject }));
    this.#onExhausted();
    return waiting;
  }

  #giveBack(slot: Slot): void {
    const next = this.#waitingAgain.shift() ?? (this.#free.length > 0 ? this.#waiting.shift() : undefined);
    if (next === undefined) this.#free.push(slot);
    else next.resolve(slot);
  }
}
