import { close, constants, fstat, open, read } from 'node:fs';
import { Socket } from 'node:net';
import { isatty, ReadStream } from 'node:tty';
import { promisify } from 'node:util';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';

/** How a file of the user's is read. */
export interface ReadUserFileOptions {
  /** What the file is, for failures: "the Wi-Fi key file". */
  readonly what?: string;
  /** What to do when it cannot be read. */
  readonly hint?: string;
  /** Bytes that it may have; one MiB by default, as text that somebody wrote has less. */
  readonly most?: number;
  readonly signal?: AbortSignal | undefined;
}

/** A file of the user's. */
export interface UserFile {
  readonly bytes: Buffer;
  /** Whether others than its owner may read it. */
  readonly isReadByOthers: boolean;
}

const mebibyte = 1024 * 1024;

/**
 * Reads a file as a whole that a user has named, which may be a pipe or a terminal: waiting for one can be interrupted at once, and what never
 * ends is not read without end. Fails with `file-too-large`.
 */
export async function readUserFile(file: string, options: ReadUserFileOptions = {}): Promise<UserFile> {
  const { what, hint, most = mebibyte, signal } = options;
  const name = what === undefined ? file : `${what} ${file}`;
  try {
    signal?.throwIfAborted();
    // Opening a pipe that nobody writes to would otherwise wait in a thread that nothing can wake up.
    const nonBlocking = process.platform === 'win32' ? 0 : constants.O_NONBLOCK;
    const descriptor = await promisify(open)(file, constants.O_RDONLY | nonBlocking);
    let isOurs = true;
    try {
      const stats = await promisify(fstat)(descriptor);
      // Windows has no such modes and reports one that lets everybody read.
      const isReadByOthers = stats.isFile() && process.platform !== 'win32' && (stats.mode & 0o044) !== 0;
      if (stats.isFile() && stats.size > most) throw tooLarge(most);
      isOurs = !stats.isFIFO() && !isatty(descriptor);
      const bytes = isOurs ? await readToEnd(descriptor, most, signal) : await readStream(descriptor, most, signal);
      return { bytes, isReadByOthers };
    } finally {
      if (isOurs) await promisify(close)(descriptor);
    }
  } catch (error) {
    throw whileDoing(`reading ${name}`, error, hint === undefined ? {} : { hint });
  }
}

async function readToEnd(descriptor: number, most: number, signal: AbortSignal | undefined): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let size = 0; ;) {
    signal?.throwIfAborted();
    const { bytesRead, buffer } = await promisify(read)(descriptor, Buffer.alloc(64 * 1024), 0, 64 * 1024, null);
    if (bytesRead === 0) return Buffer.concat(parts);
    size += bytesRead;
    if (size > most) throw tooLarge(most);
    parts.push(buffer.subarray(0, bytesRead));
  }
}

/** Reads a pipe or a terminal, and closes it. */
function readStream(descriptor: number, most: number, signal: AbortSignal | undefined): Promise<Buffer> {
  const stream = isatty(descriptor)
    ? new ReadStream(descriptor)
    : new Socket({ fd: descriptor, readable: true, writable: false });
  return collect(stream, most, signal);
}

/** What a stream gives until it ends; the stream is destroyed when that is too much, and when it is interrupted. */
export async function collect(
  stream: NodeJS.ReadableStream & { readonly destroy?: (error?: Error) => unknown },
  most: number,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  const stop = () => stream.destroy?.();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    signal?.throwIfAborted();
    let size = 0;
    for await (const part of stream) {
      const bytes = Buffer.from(part);
      size += bytes.length;
      if (size > most) throw tooLarge(most);
      parts.push(bytes);
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
    stop();
  }
  signal?.throwIfAborted();
  return Buffer.concat(parts);
}

function tooLarge(most: number): Failure {
  return new Failure('usage', 'file-too-large', `it has more than ${most} bytes`, {
    hint: 'Check that it is the file that was meant',
  });
}
