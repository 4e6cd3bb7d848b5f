import { createWriteStream, type WriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { stripVTControlCharacters } from 'node:util';
import { whileDoing } from '../failure/while-doing.js';

/** Bytes of a console's end that are remembered. */
const remembered = 4096;

/** What a device writes to its serial console: kept in a file if one is wanted, and the last lines in memory for messages. */
export class SerialLog {
  readonly #file: WriteStream | undefined;
  #tail = '';

  private constructor(file: WriteStream | undefined) {
    this.#file = file;
    // A full disk must not end the device; the log then ends early.
    file?.on('error', () => undefined);
  }

  /** Opens a log that is written to a file, from its start, or only remembered. */
  static async open(path: string | undefined): Promise<SerialLog> {
    if (path === undefined) return new SerialLog(undefined);
    try {
      const handle = await open(path, 'w');
      return new SerialLog(createWriteStream(path, { fd: handle }));
    } catch (error) {
      throw whileDoing(`writing the serial log ${path}`, error);
    }
  }

  add(chunk: Buffer): void {
    this.#file?.write(chunk);
    this.#tail = (this.#tail + chunk.toString('latin1')).slice(-remembered);
  }

  /** The last lines, without the escape sequences that firmware and boot loaders are fond of. */
  lastLines(count: number): string[] {
    return stripVTControlCharacters(this.#tail)
      .split(/[\r\n]+/)
      .map((line) => line.trim())
      .filter((line) => line !== '')
      .slice(-count);
  }

  async close(): Promise<void> {
    const file = this.#file;
    if (file !== undefined) await new Promise<void>((resolve) => file.end(resolve));
  }
}
