/**
 * The user's permission to take a device's present host key in place of the pinned one. It holds for the first connection only:
 * when a run connects again later, a key that has changed since is as suspicious as ever.
 */
export class NewHostKeyPermit {
  #isLeft = true;

  /** Whether the permission has not been used yet. */
  get isLeft(): boolean {
    return this.#isLeft;
  }

  /** Uses the permission up. */
  use(): void {
    this.#isLeft = false;
  }
}
