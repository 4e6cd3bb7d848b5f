import { crc32 } from 'node:zlib';
import { Failure, interrupted } from '../failure/failure.js';
import type { ImagePiece } from './image-variant.js';
import type { ImageWindow } from './image-windows.js';
import type { PreparedCopy } from './prepared-copy.js';
import type { Slot, SlotPool } from './slot-pool.js';

/** Writes pieces of a window; may be asked again before it is done. */
type LaneWork = (pieces: readonly ImagePiece[]) => Promise<void>;

/** Where a lane gets back what it gave away. */
export interface LaneMeans {
  readonly pool: SlotPool;
  readonly copy: PreparedCopy;
  /** Called when the drive has nothing to do because nothing has been delivered. */
  readonly onIdle: () => void;
}

/** What is to be written of a window to one drive, and the slot that holds it; without a slot it is in the copy. */
interface Delivery {
  readonly window: ImageWindow;
  pieces: readonly ImagePiece[];
  slot: Slot | undefined;
}

/** Windows that a drive has been asked to write at a time: enough that it never waits for the next one. */
const windowsAsked = 2;

/** The windows of an image on their way to one drive, each held until it has been written or given up. */
export class DriveLane {
  readonly #work: LaneWork;
  readonly #means: LaneMeans;
  readonly #queue: Delivery[] = [];
  readonly #finished: Promise<void>;
  #finish: () => void = () => undefined;
  #fail: (error: unknown) => void = () => undefined;
  /** When what was asked last has been handed to the drive. */
  #handed: Promise<unknown> = Promise.resolve();
  #asked = 0;
  #isOpen = false;
  #isComplete = false;
  #isOver = false;

  constructor(work: LaneWork, means: LaneMeans) {
    this.#work = work;
    this.#means = means;
    this.#finished = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    // It may fail before anybody waits for it.
    this.#finished.catch(() => undefined);
  }

  /** Whether the drive could write and has nothing to. */
  get isIdle(): boolean {
    return this.#isOpen && !this.#isOver && this.#asked === 0 && this.#queue.length === 0;
  }

  /** Takes what is to be written of a window; its slot is held until that has been done. */
  deliver(window: ImageWindow, pieces: readonly ImagePiece[]): void {
    if (this.#isOver || pieces.length === 0) return;
    window.slot.hold();
    this.#queue.push({ window, pieces, slot: window.slot });
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

  /** Lets go of the windows that the drive has not been asked to write yet, to read them from the copy when their turn comes, and says whether there were any. Fails when they cannot be kept there. */
  async leaveToCopy(): Promise<boolean> {
    const { copy } = this.#means;
    let hasLeft = false;
    for (const delivery of [...this.#queue]) {
      const { window, slot, pieces } = delivery;
      if (slot === undefined || !this.#queue.includes(delivery)) continue;
      const ranges = pieces.flatMap(({ isOwn, run }) => (isOwn ? [] : run));
      slot.hold();
      try {
        await copy.keep(window, ranges);
        if (!this.#queue.includes(delivery)) continue;
        delivery.slot = undefined;
        slot.letGo();
        hasLeft = true;
      } finally {
        slot.letGo();
      }
    }
    return hasLeft;
  }

  /** Lets go of everything that the drive has not been asked to write yet, and takes no more. */
  stop(why: unknown = interrupted()): void {
    this.#isOver = true;
    this.#fail(why);
    for (const { slot } of this.#queue.splice(0)) slot?.letGo();
  }

  #pump(): void {
    if (!this.#isOpen) return;
    while (this.#asked < windowsAsked) {
      const delivery = this.#queue.shift();
      if (delivery === undefined) break;
      this.#asked += 1;
      void this.#write(delivery);
    }
    if (this.#asked > 0) return;
    if (this.#isComplete) this.#finish();
    else if (!this.#isOver) this.#means.onIdle();
  }

  async #write(delivery: Delivery): Promise<void> {
    try {
      const ready = Promise.all([this.#load(delivery), this.#handed]);
      // The order of the image is kept, also where one window has to be read and the next one does not.
      this.#handed = ready.catch(() => undefined);
      await ready;
      await this.#work(delivery.pieces);
    } catch (error) {
      this.stop(error);
    } finally {
      delivery.slot?.letGo();
    }
    this.#asked -= 1;
    this.#pump();
  }

  /** Reads from the copy what was left to it. */
  async #load(delivery: Delivery): Promise<void> {
    if (delivery.slot !== undefined) return;
    const slot = await this.#means.pool.takeAgain();
    delivery.slot = slot;
    const pieces: ImagePiece[] = [];
    for (const piece of delivery.pieces) {
      pieces.push(piece.isOwn ? piece : await this.#read(piece, slot, delivery.window.start));
    }
    delivery.pieces = pieces;
  }

  async #read({ run, isOwn }: ImagePiece, slot: Slot, start: number): Promise<ImagePiece> {
    const bytes = slot.bytes.subarray(run.start - start, run.start - start + run.size);
    await this.#means.copy.read(bytes, run.start);
    if (crc32(bytes) === run.checksum) return { run, bytes, isOwn };
    const place = `bytes ${run.start} to ${run.start + run.size - 1}`;
    throw new Failure(
      'failed',
      'copy-differs',
      `${place} of the image are not what they were when they were read first`,
      {
        hint: 'The image was changed meanwhile, or the memory or the disk of this computer is faulty',
      },
    );
  }
}
