import type { ByteRange } from './partition-table.js';

/** Looks at the bytes of an image as they are read, in order and before anything changes them. */
export interface ContentCheck {
  /** The ranges between two offsets that it has to see, sorted. */
  readonly wantedWithin: (start: number, end: number) => readonly ByteRange[];
  /**
   * Takes bytes that lie behind all others it was given, perhaps more than it wants; `start` is where in the image they lie. Fails when they
   * are not what they should be.
   */
  readonly pass: (start: number, bytes: Buffer) => void;
  /** Takes the size of the image when all has passed. Fails when it is not what it should be. */
  readonly finish: (size: number) => void;
}
