import type { LogLine } from '../engine/container-logs.js';

/** Remembers how far a log has been read, so that reading it again from there shows no line twice and leaves none out. */
export class LogCursor {
  #time = '';
  /** Lines taken that bear exactly that time. */
  #taken = 0;
  #toSkip = 0;
  #isCatchingUp = false;

  /** Where to read on: seconds since 1970 with nine digits of a second, or undefined when nothing has been read. */
  get since(): string | undefined {
    return this.#time === '' ? undefined : engineTime(this.#time);
  }

  /** To be called before the log is read again from `since`. */
  resume(): void {
    this.#isCatchingUp = this.#time !== '';
    this.#toSkip = this.#taken;
  }

  /** To be called before another log is read. */
  reset(): void {
    this.#time = '';
    this.#taken = 0;
    this.#isCatchingUp = false;
  }

  /** Whether a line has not been read before. */
  take(line: LogLine): boolean {
    if (this.#isCatchingUp) {
      if (line.time < this.#time) return false;
      if (line.time === this.#time && this.#toSkip > 0) {
        this.#toSkip -= 1;
        return false;
      }
      this.#isCatchingUp = false;
    }
    if (line.time === this.#time) this.#taken += 1;
    // Lines of standard output and standard error may come in slightly the wrong order.
    else if (line.time > this.#time) {
      this.#time = line.time;
      this.#taken = 1;
    }
    return true;
  }
}

/** An RFC 3339 time as the engine's API takes it: `1763683286.947890942`. */
export function engineTime(time: string): string {
  const seconds = Math.floor(Date.parse(time) / 1000);
  const fraction = /\.(\d{1,9})/.exec(time)?.[1] ?? '';
  return `${seconds}.${fraction.padEnd(9, '0')}`;
}
