import type { ProgressEvent, StepProgress } from '../platform/progress.js';
import { RateMeter } from './rate-meter.js';
import { stepText } from './step-text.js';
import type { Streams } from './streams.js';

/** How progress is shown: `auto` is `terminal` on a terminal and `plain` elsewhere. */
export const progressModes = ['auto', 'terminal', 'plain', 'json', 'none'] as const;
export type ProgressMode = (typeof progressModes)[number];

/** Shows events on standard error. `close` leaves the terminal as it was found. */
export interface Renderer {
  readonly render: (event: ProgressEvent) => void;
  readonly close: () => void;
}

/** The renderer for a mode. `now` gives milliseconds. */
export function createRenderer(mode: ProgressMode, streams: Streams, now: () => number = Date.now): Renderer {
  switch (mode) {
    case 'terminal':
      return new TerminalRenderer(streams, now);
    case 'plain':
      return new PlainRenderer(streams, now);
    case 'json':
      return { render: (event) => streams.stderr.write(`${JSON.stringify(event)}\n`), close: () => undefined };
    case 'none':
      return {
        render: (event) => {
          if (event.type === 'notice') streams.stderr.write(noticeText(event));
        },
        close: () => undefined,
      };
    case 'auto':
      return createRenderer(streams.stderrIsTerminal ? 'terminal' : 'plain', streams, now);
  }
}

function noticeText(notice: { readonly level: string; readonly text: string }): string {
  return notice.level === 'warning' ? `warning: ${notice.text}\n` : `${notice.text}\n`;
}

const keyOf = (step: StepProgress) => `${step.phase} ${step.id}`;

/** One line when a step starts and ends, and at most one every ten seconds between, so that logs stay readable. */
class PlainRenderer implements Renderer {
  readonly #streams: Streams;
  readonly #now: () => number;
  readonly #lastLineAt = new Map<string, number>();
  readonly #meters = new Map<string, RateMeter>();
  readonly #quietMs = 10_000;

  constructor(streams: Streams, now: () => number) {
    this.#streams = streams;
    this.#now = now;
  }

  render(event: ProgressEvent): void {
    if (event.type === 'notice') this.#streams.stderr.write(noticeText(event));
    else if (event.type === 'line') this.#streams.stderr.write(`${event.id} | ${event.text}\n`);
    else this.#step(event);
  }

  close(): void {
    this.#lastLineAt.clear();
  }

  #step(step: StepProgress): void {
    const key = keyOf(step);
    const now = this.#now();
    const meter = this.#meters.get(key) ?? new RateMeter();
    this.#meters.set(key, meter);
    if (step.current !== undefined) meter.add(now, step.current);
    const last = this.#lastLineAt.get(key);
    if (step.state === 'active' && last !== undefined && now - last < this.#quietMs) return;
    this.#lastLineAt.set(key, now);
    this.#streams.stderr.write(`${stepText(step, meter)}\n`);
  }
}

/** Live lines at the bottom of the terminal, one per active step; finished steps, notices and output scroll up above them. */
class TerminalRenderer implements Renderer {
  readonly #streams: Streams;
  readonly #now: () => number;
  readonly #active = new Map<string, StepProgress>();
  readonly #meters = new Map<string, RateMeter>();
  #linesShown = 0;
  #drawnAt = 0;
  #cursorHidden = false;

  constructor(streams: Streams, now: () => number) {
    this.#streams = streams;
    this.#now = now;
  }

  render(event: ProgressEvent): void {
    if (event.type === 'notice') this.#printAbove(noticeText(event));
    else if (event.type === 'line') this.#printAbove(`${event.id} | ${event.text}\n`);
    else this.#step(event);
  }

  close(): void {
    this.#erase();
    for (const step of this.#active.values())
      this.#streams.stderr.write(`${stepText(step, this.#meters.get(keyOf(step)))}\n`);
    this.#active.clear();
    if (this.#cursorHidden) this.#streams.stderr.write('\u001B[?25h');
    this.#cursorHidden = false;
  }

  #step(step: StepProgress): void {
    const key = keyOf(step);
    const now = this.#now();
    const meter = this.#meters.get(key) ?? new RateMeter();
    this.#meters.set(key, meter);
    if (step.current !== undefined) meter.add(now, step.current);
    if (step.state !== 'active') {
      this.#active.delete(key);
      this.#printAbove(`${stepText(step, meter)}\n`);
      return;
    }
    const isNew = !this.#active.has(key);
    this.#active.set(key, step);
    if (isNew || now - this.#drawnAt >= 100) this.#draw();
  }

  #printAbove(text: string): void {
    this.#erase();
    this.#streams.stderr.write(text);
    this.#draw();
  }

  #draw(): void {
    this.#erase();
    if (this.#active.size === 0) return;
    if (!this.#cursorHidden) this.#streams.stderr.write('\u001B[?25l');
    this.#cursorHidden = true;
    const width = this.#streams.columns() - 1;
    const lines = [...this.#active.values()].map((step) =>
      stepText(step, this.#meters.get(keyOf(step))).slice(0, width),
    );
    this.#streams.stderr.write(`${lines.join('\n')}\n`);
    this.#linesShown = lines.length;
    this.#drawnAt = this.#now();
  }

  #erase(): void {
    if (this.#linesShown > 0) this.#streams.stderr.write(`\u001B[${this.#linesShown}F\u001B[J`);
    this.#linesShown = 0;
  }
}
