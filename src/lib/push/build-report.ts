import type { BuildListener } from '../engine/build-image.js';
import type { PullListener } from '../engine/pull-image.js';
import type { ProgressListener } from '../platform/progress.js';
import { type Instruction, parseDockerfile } from '../project/dockerfile.js';

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
  readonly #steps: readonly Instruction[];
  readonly #contextBytes: number;
  readonly #progress: ProgressListener;
  readonly layer: PullListener;
  #sent = 0;
  #reportedAt = -Infinity;
  #phase: 'send' | 'build' = 'send';

  /** @param dockerfile its text as the user knows it, whose lines are shown in place of what was made of them for the engine */
  constructor(service: string, dockerfile: string, contextBytes: number, progress: ProgressListener) {
    this.#service = service;
    this.#steps = parseDockerfile(dockerfile).instructions;
    this.#contextBytes = contextBytes;
    this.#progress = progress;
    const onLayer = layerProgress(progress);
    this.layer = (...layer) => {
      this.#beginBuild();
      onLayer(...layer);
    };
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
    if (instruction === undefined) {
      this.#progress({ type: 'line', id: this.#service, text });
      return;
    }
    this.reached = { number: Number(number), of: Number(of), text: this.#written(Number(number), instruction) };
    this.#step('build', 'active', { detail: `step ${number} of ${of}` });
    this.#progress({ type: 'line', id: this.#service, text: `Step ${number}/${of} : ${this.reached.text}` });
  }

  /** An instruction as it stands in the Dockerfile, if the engine counts as we do. */
  #written(number: number, instruction: string): string {
    const step = this.#steps[number - 1];
    return step?.keyword === firstWord(instruction) ? step.text : instruction;
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

function firstWord(instruction: string): string {
  return (instruction.split(/\s/, 1)[0] ?? '').toUpperCase();
}

/** Reports the layers of images that an engine pulls. */
export function layerProgress(progress: ProgressListener): PullListener {
  return (id, status, current, total) => {
    const bytes = current === undefined || total === undefined ? {} : { current, total };
    const state = /complete|exists/i.test(status) ? 'done' : 'active';
    progress({ type: 'step', id, phase: 'pull', state, ...bytes });
  };
}
