import type { BlockFile, BlockReader } from './block-file.js';
import type { ByteRange } from './partition-table.js';

/** The bytes of an image as they are stored, packed or not: those of a file, of standard input or of a URL. */
export interface ImageOrigin {
  /** What the user calls it: a path, or "standard input". */
  readonly name: string;
  /** Bytes in all, where that is known. */
  readonly size: number | undefined;
  /** Says which bytes these are: equal only as long as they are the same. Undefined where nothing tells. */
  readonly identity: string | undefined;
  /** Any of the bytes in any order, where that is possible. */
  readonly reader: BlockReader | undefined;
  /** The open file, for a file. */
  readonly file: OriginFile | undefined;
  /**
   * The bytes in order, all of them or those of a range; a chunk is good only until the next one is asked for. Fails with `source-changed` at
   * the end when they changed meanwhile.
   */
  readonly stream: (range?: ByteRange) => AsyncIterable<Buffer>;
  /** Fails with `source-changed` when these are no longer the bytes that were opened. */
  readonly requireUnchanged: () => Promise<void>;
  /** Opens the same bytes anew, or fails with `source-changed`; undefined where they come only once. */
  readonly reopen: (() => Promise<ImageOrigin>) | undefined;
  /** Ends a wait for bytes that may never come, so that whoever waits can be closed. */
  readonly stop: () => void;
  readonly close: () => Promise<void>;
}

/** A file that an image is read from, and where it lies, to tell whether it is on a drive that is to be written. */
export interface OriginFile {
  readonly path: string;
  readonly blocks: BlockFile;
  /** The device that holds the file. */
  readonly device: number;
  readonly inode: number;
  /** The device that the file is, when it is one. */
  readonly isDevice: number | undefined;
}
