import type { BlockMap } from '../image/block-map.js';
import type { ImageSource } from '../image/source.js';
import { tableSize } from './drive-writer.js';
import type { FlashPlan } from './plan-flash.js';

/** How many bytes there are to write in all, the head of the image apart, as well as that can be told while it is read. */
export class WriteEstimate {
  readonly #plan: FlashPlan;
  readonly #source: ImageSource;
  readonly #map: BlockMap;
  #found = 0;

  constructor(plan: FlashPlan, source: ImageSource, map: BlockMap) {
    this.#plan = plan;
    this.#source = source;
    this.#map = map;
  }

  /** Counts bytes that were found to be written. */
  add(bytes: number): void {
    this.#found += bytes;
  }

  get total(): number {
    const { bytesToWrite, size } = this.#plan.image;
    if (bytesToWrite !== undefined) return Math.max(0, bytesToWrite - tableSize);
    const atMost = this.#found + Math.max(0, size - this.#map.bytesPassed);
    const { current, total } = this.#source.packedProgress();
    if (this.#plan.everything || total === undefined || current < total / 50) return atMost;
    // What does not matter is mostly empty and packs to nothing, so the packed bytes tell how much is left.
    return Math.min(atMost, (this.#found * total) / current);
  }
}
