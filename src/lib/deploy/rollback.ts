import { startContainer } from '../engine/containers.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { Failure } from '../failure/failure.js';

/** How things on an engine get back to what they were, should a deployment not work out. */
export class Rollback {
  readonly #engine: EngineConnection;
  readonly #steps: (() => Promise<void>)[] = [];
  readonly #stopped: { readonly service: string; readonly id: string }[] = [];
  /** Services whose containers somebody else has put in place meanwhile. */
  readonly overtaken = new Set<string>();

  constructor(engine: EngineConnection) {
    this.#engine = engine;
  }

  /** Notes how to take back what is about to be done; the last is taken back first. */
  add(step: () => Promise<void>): void {
    this.#steps.push(step);
  }

  /** Notes a running container that is about to be stopped. It starts again when everything else is as it was. */
  stopped(service: string, id: string): void {
    this.#stopped.push({ service, id });
  }

  /** Whether anything that ran has been stopped. */
  get hasStopped(): boolean {
    return this.#stopped.length > 0;
  }

  /** Takes everything back, as far as it goes, and returns what went wrong with that first. */
  async run(): Promise<Failure | undefined> {
    let first: Failure | undefined;
    const attempt = async (step: () => Promise<void>) => {
      try {
        await step();
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        first ??= error;
      }
    };
    for (const step of this.#steps.reverse()) await attempt(step);
    for (const { service, id } of this.#stopped)
      if (!this.overtaken.has(service)) await attempt(() => startContainer(this.#engine, id));
    return first;
  }
}
