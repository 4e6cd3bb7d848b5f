import { Failure } from '../failure/failure.js';
import { limit } from '../platform/limit.js';
import { waitAtMost } from '../platform/wait.js';
import { listContainers, removeContainer } from './containers.js';
import type { EngineConnection } from './engine-connection.js';
import { type ImageSummary, listImages, removeUntaggedImage } from './images.js';

/** IDs of what an engine had before a build, from which what the build leaves can be told. */
export interface BeforeBuild {
  readonly containers: ReadonlySet<string>;
  readonly images: ReadonlySet<string>;
}

const removalMs = 5000;
const goneMs = 2000;
const pollMs = 100;

/** What a build that does not come to its end leaves on the engine, learnt from its output. */
export class BuildTraces {
  readonly #before: BeforeBuild | undefined;
  readonly #made: string[] = [];
  /** The image of the last step that the engine told the end of. */
  #last: string | undefined;
  #container: string | undefined;
  #isOwnStep = false;

  constructor(before: BeforeBuild | undefined) {
    this.#before = before;
  }

  line(text: string): void {
    const instruction = /^Step \d+\/\d+ : (\S+)/.exec(text)?.[1];
    // The first thing named after FROM is the base image, after "Using cache" one of an earlier build.
    if (instruction !== undefined) this.#isOwnStep = instruction.toUpperCase() !== 'FROM';
    else if (text === ' ---> Using cache') this.#isOwnStep = false;
    const [, running, image] = /^ ---> (?:Running in ([0-9a-f]{12,})|([0-9a-f]{12,}))$/.exec(text) ?? [];
    if (running !== undefined) this.#container = running;
    if (image === undefined) return;
    this.#container = undefined;
    this.#last = image;
    if (this.#isOwnStep) this.#made.push(image);
  }

  /** Takes it away once the connection of the build is closed. The engine ends the build's step by itself, but not before we would be gone. */
  async remove(engine: EngineConnection): Promise<void> {
    const patience = limit(new AbortController().signal, removalMs);
    try {
      if (this.#container !== undefined) await removeContainer(engine, this.#container, patience.signal);
      await this.#untilStepIsGone(engine, patience.signal);
      const untold = await this.#untoldImages(engine, patience.signal);
      for (const image of [...this.#made, ...untold].reverse())
        await removeUntaggedImage(engine, image, patience.signal);
    } catch (error) {
      // A device that is gone can do no more than clean up by itself.
      if (!(error instanceof Failure)) throw error;
    } finally {
      patience.end();
    }
  }

  /** Waits for the end of a step of which the engine has not told us any more. */
  async #untilStepIsGone(engine: EngineConnection, signal: AbortSignal): Promise<void> {
    if (this.#before === undefined) return;
    const { containers } = this.#before;
    const wait = limit(signal, goneMs);
    try {
      while (!wait.signal.aborted) {
        const all = await listContainers(engine, signal);
        // The names of steps are made up by the engine, such as `focused_turing`.
        if (!all.some(({ id, name }) => !containers.has(id) && /^[a-z]+_[a-z]+\d*$/.test(name))) return;
        await waitAtMost(pollMs, wait.signal);
      }
    } finally {
      wait.end();
    }
  }

  /** New images without a name that follow from the last one that the engine told of, each after its parent. */
  async #untoldImages(engine: EngineConnection, signal: AbortSignal): Promise<readonly string[]> {
    const [before, last] = [this.#before, this.#last];
    if (before === undefined || last === undefined) return [];
    const all = await listImages(engine, { all: true, signal });
    const fresh = all.filter(({ id, tags }) => !before.images.has(id) && tags.every((tag) => tag.startsWith('<none>')));
    const chain: ImageSummary[] = [];
    const isNext = ({ parent = '' }: ImageSummary) =>
      parent.startsWith(`sha256:${last}`) || chain.some(({ id }) => id === parent);
    for (let next = fresh.find(isNext); next !== undefined; next = fresh.find(isNext)) {
      chain.push(next);
      fresh.splice(fresh.indexOf(next), 1);
    }
    return chain.map(({ id }) => id);
  }
}
