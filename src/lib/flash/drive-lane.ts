import { interrupted } from '../failure/failure.js';
import type { WrittenRun } from './drive-thread.js';
import type { ImageWindow } from './image-windows.js';

/** What is to be written of a window to one drive. */
interface Delivery {
  readonly window: ImageWindow;
  readonly runs: readonly WrittenRun[];
}

/** Writes what is to be written of a window; may be asked again before it is done. */
type LaneWork = (window: ImageWindow, runs: readonly WrittenRun[]) => Promise<void>;

/** Windows that a drive has been asked to write at a time: enough that it never waits for the next one. */
const windowsAsked = 2;

/** The windows of an image on their way to one drive, each held until it has been written or given up. */
export class DriveLane {
  readonly #work: LaneWork;
  readonly #queue: Delivery[] = [];
  readonly #finished: Promise<void>;
  #finish: () => void = () => undefined;
  #fail: (error: unknown) => void = () => undefined;
  #asked = 0;
  #isOpen = false;
  #isComplete = false;
  #isOver = false;

  constructor(work: LaneWork) {
    this.#work = work;
    this.#finished = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    // It may fail before anybody waits for it.
    this.#finished.catch(() => undefined);
  }

  /** Takes what is to be written of a window; it must stay as it is until it is let go of. */
  deliver(window: ImageWindow, runs: readonly WrittenRun[]): void {
    if (this.#isOver || runs.length === 0) return;
    window.slot.hold();
    this.#queue.push({ window, runs });
    this.#pump();
  }

  /** Lets what is delivered be written; until then it waits. */
  open(): void {
    this.#isOpen = true;
    this.#pump();
  }

  /** Says that nothing more is going to be delivered. */
  complete(): void {
    this.#isComplete = true;
    this.#pump();
  }

  /** Waits until everything has been delivered and written. Fails when something cannot be written or the lane was stopped. */
  finished(): Promise<void> {
    return this.#finished;
  }

  /** Lets go of everything that the drive has not been asked to write yet, and takes no more. */
  stop(why: unknown = interrupted()): void {
    this.#isOver = true;
    this.#fail(why);
    for (const { window } of this.#queue.splice(0)) window.slot.letGo();
  }

  #pump(): void {
    if (!this.#isOpen) return;
    while (this.#asked < windowsAsked) {
      const delivery = this.#queue.shift();
      if (delivery === undefined) break;
      this.#asked += 1;
      void this.#write(delivery);
    }
    if (this.#asked === 0 && this.#isComplete) this.#finish();
  }

  async #write({ window, runs }: Delivery): Promise<void> {
    try {
      await this.#work(window, runs);
    } catch (error) {
      this.stop(error);
    } finally {
      window.slot.letGo();
    }
    this.#asked -= 1;
    this.#pump();
  }
}
