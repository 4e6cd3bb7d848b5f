import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { folders } from '../platform/environment.js';
import { BlockFile, type BlockReader } from './block-file.js';
import type { ChunkStream } from './chunk-stream.js';
import { runsWithData } from './copy-image.js';

const readSize = 1024 * 1024;

/**
 * Random reads of the beginning of a stream that comes only once: as much of it as is asked for is kept in a file without a name, with holes
 * for its zeros, and flows on from there afterwards.
 */
export class StreamSpool implements BlockReader {
  readonly size = Number.POSITIVE_INFINITY;
  readonly #stream: ChunkStream;
  readonly #folder: string;
  readonly #handle: FileHandle;
  #kept = 0;

  private constructor(stream: ChunkStream, folder: string, handle: FileHandle) {
    this.#stream = stream;
    this.#folder = folder;
    this.#handle = handle;
  }

  /** Makes the file, in the cache folder. Whoever asks for it calls `flowOn` or `discard`. */
  static async open(stream: ChunkStream, folder: string = folders.cache()): Promise<StreamSpool> {
    const name = path.join(folder, `.stream-${randomBytes(8).toString('hex')}`);
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const handle = await open(name, 'wx+', 0o600);
      await rm(name);
      return new StreamSpool(stream, folder, handle);
    } catch (error) {
      throw spoolFailed(folder, error);
    }
  }

  async read(offset: number, length: number): Promise<Buffer> {
    while (this.#kept < offset + length) {
      const chunk = await this.#stream.next();
      if (chunk === undefined) break;
      await this.#keep(chunk);
    }
    return new BlockFile('standard input', this.#handle, this.#kept, false).read(offset, length);
  }

  /** Lets the stream begin with its first byte again; it discards the file once it has passed, and when it is closed. */
  flowOn(): void {
    const bytes = this.#bytes();
    const end = async () => {
      await this.discard();
      return { done: true, value: undefined } as const;
    };
    this.#stream.putBack({ [Symbol.asyncIterator]: () => ({ next: () => bytes.next(), return: end }) });
  }

  async discard(): Promise<void> {
    await this.#handle.close();
  }

  async #keep(chunk: Buffer): Promise<void> {
    try {
      for (const { start, end } of runsWithData(chunk)) {
        for (let at = start; at < end;) {
          at += (await this.#handle.write(chunk, at, end - at, this.#kept + at)).bytesWritten;
        }
      }
      this.#kept += chunk.length;
      await this.#handle.truncate(this.#kept);
    } catch (error) {
      throw spoolFailed(this.#folder, error);
    }
  }

  async *#bytes(): AsyncGenerator<Buffer> {
    const file = new BlockFile('standard input', this.#handle, this.#kept, false);
    for (let at = 0; at < this.#kept; at += readSize) yield await file.read(at, Math.min(readSize, this.#kept - at));
    await this.discard();
  }
}

function spoolFailed(folder: string, error: unknown): unknown {
  const hint =
    systemErrorCode(error) === 'ENOSPC'
      ? 'Free some space there, name another folder with DAVIT_CACHE_DIR, or give the image as a file'
      : 'Name a folder that you may write to with DAVIT_CACHE_DIR, or give the image as a file';
  return whileDoing(`keeping the beginning of the image in ${folder}`, error, { hint });
}
