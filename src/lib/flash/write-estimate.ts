import type { ImageSource } from '../image/source.js';
import { tableSize } from './drive-writer.js';
import type { ImageVariant } from './image-variant.js';
import type { FlashPlan } from './plan-flash.js';

/** How many bytes there are to write in all, the head of the image apart, as well as that can be told while it is read. */
export class WriteEstimate {
  readonly #plan: FlashPlan;
  readonly #source: ImageSource;
  readonly #variants: readonly ImageVariant[];
  #found = 0;

  /** @param variants what is known of the image as each drive gets it; they differ too little to be told apart here */
  constructor(plan: FlashPlan, source: ImageSource, variants: readonly ImageVariant[]) {
    this.#plan = plan;
    this.#source = source;
    this.#variants = variants;
  }

  /** Counts bytes that were found to be written. */
  add(bytes: number): void {
    this.#found += bytes;
  }

  /** Bytes found so far. */
  get found(): number {
    return this.#found;
  }

  get total(): number {
    const { bytesToWrite, size } = this.#plan.image;
    if (bytesToWrite !== undefined) return Math.max(0, bytesToWrite - tableSize);
    const atMost = this.#found + Math.max(0, size - (this.#variants[0]?.map.bytesPassed ?? 0));
    const { current, total } = this.#source.packedProgress();
    if (this.#plan.everything || total === undefined || current < total / 50) return atMost;
    // What does not matter is mostly empty and packs to nothing, so the packed bytes tell how much is left.
    return Math.min(atMost, (this.#found * total) / current);
  }
}
