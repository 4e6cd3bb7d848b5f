/** Rate and time left of one step, smoothed over the last few seconds. */
export class RateMeter {
  readonly #samples: { readonly at: number; readonly bytes: number }[] = [];
  readonly #windowMs = 5000;
  #first: { readonly at: number; readonly bytes: number } | undefined;

  /** Takes the bytes done so far at a moment in milliseconds. */
  add(at: number, bytes: number): void {
    this.#first ??= { at, bytes };
    this.#samples.push({ at, bytes });
    while (this.#samples.length > 2 && at - (this.#samples[0]?.at ?? at) > this.#windowMs) this.#samples.shift();
  }

  /** Bytes per second over the window, or undefined while there is too little to tell. */
  rate(): number | undefined {
    return this.#rateSince(this.#samples[0]);
  }

  /** Bytes per second over all of it. */
  average(): number | undefined {
    return this.#rateSince(this.#first);
  }

  #rateSince(first: { readonly at: number; readonly bytes: number } | undefined): number | undefined {
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.at - first.at < 250) return undefined;
    return ((last.bytes - first.bytes) * 1000) / (last.at - first.at);
  }

  /** Seconds until `total` bytes are done at the present rate, or undefined while there is too little to tell. */
  secondsLeft(total: number): number | undefined {
    const rate = this.rate();
    const done = this.#samples.at(-1)?.bytes;
    if (rate === undefined || rate <= 0 || done === undefined) return undefined;
    return Math.max(0, total - done) / rate;
  }
}
