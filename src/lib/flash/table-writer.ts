import { crc32 } from 'node:zlib';
import { alignedBuffer } from './aligned-memory.js';
import type { BytesListener } from './drive-channel.js';
import type { DrivePiece, WrittenRun } from './drive-thread.js';
import { type DriveWriter, largestTail, tableSize, tailStart } from './drive-writer.js';
import type { ImagePiece } from './image-variant.js';

/** How often what is wrong is written again before a drive is given up. */
export const mostRewrites = 3;

/** Where a run lies that is written with the table, in the user's words. */
type TablePlace = 'at the end of the drive' | 'in the partition table';

/** Holds back what makes a drive bootable, its partition table and the table's copy, until everything else is known to be right. */
export class TableWriter {
  readonly #writer: DriveWriter;
  readonly #head = alignedBuffer(tableSize);
  #headSize = 0;
  /** Where the part of the drive begins that may hold the copy of the table. */
  readonly #tailStart: number;
  #tail: Buffer | undefined;
  readonly #tailPieces: DrivePiece[] = [];

  constructor(writer: DriveWriter) {
    this.#writer = writer;
    this.#tailStart = tailStart(writer.drive);
  }

  /** Takes of the pieces those that belong to the table and its copy, and gives the others, and how many bytes of the copy it took. */
  holdBack(pieces: readonly ImagePiece[]): { body: ImagePiece[]; tailSize: number } {
    const body: ImagePiece[] = [];
    let tailSize = 0;
    for (const piece of pieces) {
      const { start } = piece.run;
      if (start < tableSize) this.#headSize += piece.bytes.copy(this.#head, start);
      else if (start < this.#tailStart) body.push(piece);
      else tailSize += this.#holdTail(piece);
    }
    return { body, tailSize };
  }

  /**
   * Writes the copy of the table, if the image has one for this drive, and then the table, each flushed and, where asked for, read back
   * before anything else is done.
   *
   * @param differs makes the failure for a run that reads back differently
   */
  async write(
    isToBeVerified: boolean,
    onWritten: BytesListener,
    onVerified: BytesListener,
    differs: (run: WrittenRun, place: TablePlace) => Error,
  ): Promise<void> {
    const head: DrivePiece = { start: 0, bytes: this.#head.subarray(0, this.#headSize) };
    const steps: readonly (readonly [readonly DrivePiece[], TablePlace])[] = [
      [this.#tailPieces, 'at the end of the drive'],
      [[head], 'in the partition table'],
    ];
    for (const [pieces, place] of steps) {
      await Promise.all([this.#writer.write(pieces, onWritten), this.#writer.flush()]);
      if (isToBeVerified) await this.#verify(pieces, onVerified, (run) => differs(run, place));
    }
  }

  /** Reads pieces back, and writes them again as often as other runs. */
  async #verify(
    pieces: readonly DrivePiece[],
    onBytes: BytesListener,
    differs: (run: WrittenRun) => Error,
  ): Promise<void> {
    const runs = pieces.map(runOf);
    let [wrong] = await this.#writer.check(runs, { onBytes });
    for (let round = 0; wrong !== undefined; round += 1) {
      if (round === mostRewrites) throw differs(wrong);
      await Promise.all([this.#writer.write(pieces), this.#writer.flush()]);
      [wrong] = await this.#writer.check(runs);
    }
  }

  #holdTail({ run, bytes: content }: ImagePiece): number {
    this.#tail ??= alignedBuffer(largestTail);
    const at = run.start - this.#tailStart;
    const bytes = this.#tail.subarray(at, at + run.size);
    this.#tailPieces.push({ start: run.start, bytes });
    return content.copy(bytes);
  }
}

function runOf({ start, bytes }: DrivePiece): WrittenRun {
  return { start, size: bytes.length, checksum: crc32(bytes) };
}
