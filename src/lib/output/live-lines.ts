import type { Streams } from './streams.js';

/** Lines on standard output that are replaced by others, on a terminal. */
export class LiveLines {
  readonly #streams: Streams;
  #shown: readonly string[] = [];

  constructor(streams: Streams) {
    this.#streams = streams;
  }

  /** Shows lines in place of those shown before; what is higher or wider than the window is cut. */
  show(lines: readonly string[]): void {
    const { columns, rows } = this.#streams.windowSize();
    this.#replace(lines.slice(0, rows - 1).map((line) => line.slice(0, columns - 1)));
  }

  /** Leaves lines in place of those shown before, as they are. */
  leave(lines: readonly string[]): void {
    this.#replace(lines);
    this.#shown = [];
  }

  /** Lets something else be written above the lines. */
  above(write: () => void): void {
    const lines = this.#shown;
    this.#replace([]);
    write();
    this.#replace(lines);
  }

  #replace(lines: readonly string[]): void {
    const erase = this.#shown.length > 0 ? `\u001B[${this.#shown.length}F\u001B[J` : '';
    this.#streams.stdout.write(`${erase}${lines.map((line) => `${line}\n`).join('')}`);
    this.#shown = lines;
  }
}
