import type { ProgressEvent, StepProgress } from '../platform/progress.js';
import { lineText, noticeText, stepText } from './event-text.js';
import { type Paint, paintFor } from './paint.js';
import { keyOf, RateMeters } from './rate-meters.js';
import type { Renderer } from './renderer.js';
import type { Streams } from './streams.js';

const redrawMs = 100;
const hideCursor = '\u001B[?25l';
const showCursor = '\u001B[?25h';

/** Live lines at the bottom of the terminal, one per active step; finished steps, notices and output scroll up above them. */
export class TerminalRenderer implements Renderer {
  readonly #streams: Streams;
  readonly #now: () => number;
  readonly #paint: Paint;
  /** Live lines are cut to the terminal's width, which colour codes would get in the way of. */
  readonly #noPaint = paintFor(false);
  readonly #meters = new RateMeters();
  readonly #active = new Map<string, StepProgress>();
  #linesShown = 0;
  #drawnAt = 0;
  #cursorHidden = false;

  constructor(streams: Streams, now: () => number) {
    this.#streams = streams;
    this.#now = now;
    this.#paint = paintFor(streams.stderrHasColor);
  }

  render(event: ProgressEvent): void {
    if (event.type === 'notice') this.#printAbove(noticeText(event, this.#paint));
    else if (event.type === 'line') this.#printAbove(lineText(event));
    else this.#step(event);
  }

  close(): void {
    this.#erase();
    for (const line of this.#liveLines()) this.#streams.stderr.write(`${line}\n`);
    this.#active.clear();
    if (this.#cursorHidden) this.#streams.stderr.write(showCursor);
    this.#cursorHidden = false;
  }

  #step(step: StepProgress): void {
    const key = keyOf(step);
    const now = this.#now();
    const meter = this.#meters.update(step, now);
    if (step.state !== 'active') {
      this.#active.delete(key);
      this.#printAbove(stepText(step, meter, this.#paint));
      return;
    }
    const isNew = !this.#active.has(key);
    this.#active.set(key, step);
    if (isNew || now - this.#drawnAt >= redrawMs) this.#draw();
  }

  above(write: () => void): void {
    this.#erase();
    write();
    this.#draw();
  }

  #printAbove(text: string): void {
    this.above(() => this.#streams.stderr.write(`${text}\n`));
  }

  #draw(): void {
    this.#erase();
    const lines = this.#liveLines();
    if (lines.length === 0) return;
    if (!this.#cursorHidden) this.#streams.stderr.write(hideCursor);
    this.#cursorHidden = true;
    this.#streams.stderr.write(`${lines.join('\n')}\n`);
    this.#linesShown = lines.length;
    this.#drawnAt = this.#now();
  }

  #liveLines(): string[] {
    const width = this.#streams.columns() - 1;
    return [...this.#active.values()].map((step) =>
      stepText(step, this.#meters.of(step), this.#noPaint).slice(0, width),
    );
  }

  #erase(): void {
    if (this.#linesShown > 0) this.#streams.stderr.write(`\u001B[${this.#linesShown}F\u001B[J`);
    this.#linesShown = 0;
  }
}
