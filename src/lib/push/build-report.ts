import type { BuildListener } from '../engine/build-image.js';
import type { ProgressListener } from '../platform/progress.js';

/** The step of a Dockerfile that a build had reached. */
export interface ReachedStep {
  readonly number: number;
  readonly of: number;
  readonly text: string;
}

/** Turns what an engine says during a build into progress: the context going out, the steps, the build's own output. */
export class BuildReport implements BuildListener {
  /** The last step that the builder began. */
  reached: ReachedStep | undefined;
  readonly #service: string;
  readonly #contextBytes: number;
  readonly #progress: ProgressListener;
  #sent = 0;
  #reportedAt = -Infinity;
  #phase: 'send' | 'build' = 'send';

  constructor(service: string, contextBytes: number, progress: ProgressListener) {
    this.#service = service;
    this.#contextBytes = contextBytes;
    this.#progress = progress;
    this.sent(0);
  }

  sent(bytes: number): void {
    // A tar is a little larger than the files in it.
    this.#sent = Math.min(bytes, this.#contextBytes);
    // Ten times a second is enough for eyes and for logs.
    if (performance.now() - this.#reportedAt < 100) return;
    this.#reportedAt = performance.now();
    this.#step('send', 'active', { current: this.#sent, total: this.#contextBytes });
  }

  line(text: string): void {
    this.#beginBuild();
    const [, number, of, instruction] = /^Step (\d+)\/(\d+) : (.*)$/.exec(text) ?? [];
    if (instruction !== undefined) {
      this.reached = { number: Number(number), of: Number(of), text: instruction };
      this.#step('build', 'active', { detail: `step ${this.reached.number} of ${this.reached.of}` });
    }
    this.#progress({ type: 'line', id: this.#service, text });
  }

  layer(id: string, status: string, current?: number, total?: number): void {
    this.#beginBuild();
    const bytes = current === undefined || total === undefined ? {} : { current, total };
    const state = /complete|exists/i.test(status) ? 'done' : 'active';
    this.#progress({ type: 'step', id, phase: 'pull', state, ...bytes });
  }

  done(): void {
    this.#beginBuild();
    this.#step('build', 'done');
  }

  failed(): void {
    this.#step(this.#phase, 'failed');
  }

  #beginBuild(): void {
    if (this.#phase === 'build') return;
    this.#step('send', 'done', { current: this.#sent });
    this.#phase = 'build';
  }

  #step(
    phase: 'send' | 'build',
    state: 'active' | 'done' | 'failed',
    more: { readonly current?: number; readonly total?: number; readonly detail?: string } = {},
  ): void {
    this.#progress({ type: 'step', id: this.#service, phase, state, ...more });
  }
}
