import type { ProgressEvent, StepProgress } from '../platform/progress.js';
import { lineText, noticeText, stepText } from './event-text.js';
import { type Paint, paintFor } from './paint.js';
import { keyOf, RateMeters } from './rate-meters.js';
import type { Renderer } from './renderer.js';
import type { Streams } from './streams.js';

const quietMs = 10_000;

/** One line when a step starts and ends, and at most one every ten seconds between, so that logs stay readable. */
export class PlainRenderer implements Renderer {
  readonly #streams: Streams;
  readonly #now: () => number;
  readonly #paint: Paint;
  readonly #meters = new RateMeters();
  readonly #lastLineAt = new Map<string, number>();

  constructor(streams: Streams, now: () => number) {
    this.#streams = streams;
    this.#now = now;
    this.#paint = paintFor(streams.stderrHasColor);
  }

  render(event: ProgressEvent): void {
    const text = this.#text(event);
    if (text !== undefined) this.#streams.stderr.write(`${text}\n`);
  }

  close(): void {
    this.#lastLineAt.clear();
  }

  #text(event: ProgressEvent): string | undefined {
    if (event.type === 'notice') return noticeText(event, this.#paint);
    if (event.type === 'line') return lineText(event);
    const meter = this.#meters.update(event, this.#now());
    return this.#isDue(event) ? stepText(event, meter, this.#paint) : undefined;
  }

  #isDue(step: StepProgress): boolean {
    const key = keyOf(step);
    const now = this.#now();
    const last = this.#lastLineAt.get(key);
    if (step.state === 'active' && last !== undefined && now - last < quietMs) return false;
    this.#lastLineAt.set(key, now);
    return true;
  }
}
