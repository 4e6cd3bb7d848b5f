import type { SourceFindings, SourceProof } from '../image/source-proof.js';
import type { ImageWindow } from './image-windows.js';
import type { ImageObserver } from './read-image.js';

/** Shows an image to the proof that it is the right one; what is hashed is the memory that the drives are written from. */
export class ProofObserver implements ImageObserver {
  readonly #proof: SourceProof;
  /** What was taken before, so that the proof gets one window after the other. */
  #taken: Promise<void> = Promise.resolve();
  findings: SourceFindings | undefined;

  constructor(proof: SourceProof) {
    this.#proof = proof;
  }

  take(window: ImageWindow): void {
    window.slot.hold();
    const before = this.#taken;
    this.#taken = (async () => {
      try {
        await before;
        await this.#proof.takeContent(window.bytesOf(window));
      } finally {
        window.slot.letGo();
      }
    })();
    // `finish` fails with it; until then it is nobody's.
    this.#taken.catch(() => undefined);
  }

  async finish(): Promise<void> {
    await this.#taken;
    this.findings = await this.#proof.finish();
  }
}
