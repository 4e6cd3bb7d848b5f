import type { IncomingMessage } from 'node:http';
import { Failure, interrupted } from '../failure/failure.js';
import { connectionCut, connectionFailure, shownUrl } from './http-failure.js';

/**
 * The body of an answer, taken from the network only as fast as it is asked for: memory stays flat, and the time limit counts the server's
 * silence, not the reader's.
 */
export class HttpBody {
  readonly #url: URL;
  readonly #message: IncomingMessage;
  readonly #stallMs: number;
  readonly #signal: AbortSignal;
  #failure: Error | undefined;
  #hasEnded = false;
  #wake: (() => void) | undefined;
  readonly #onAbort = () => {
    this.#fail(interrupted());
  };

  constructor(url: URL, message: IncomingMessage, stallMs: number, signal: AbortSignal) {
    this.#url = url;
    this.#message = message;
    this.#stallMs = stallMs;
    this.#signal = signal;
    message.on('readable', () => this.#wake?.());
    message.on('end', () => {
      this.#hasEnded = true;
      this.#wake?.();
    });
    message.on('error', (error) => {
      this.#fail(connectionFailure(url, error));
    });
    message.on('close', () => {
      if (!this.#hasEnded) this.#fail(connectionCut(url));
    });
    signal.addEventListener('abort', this.#onAbort);
    if (signal.aborted) this.#onAbort();
  }

  /** The bytes as they come; to be read once. Fails with `unreachable` when they stop coming or the connection breaks. */
  async *read(): AsyncGenerator<Buffer> {
    try {
      for (;;) {
        // What came before the connection broke is as good as any.
        const chunk: unknown = this.#signal.aborted ? undefined : this.#message.read();
        if (Buffer.isBuffer(chunk)) yield chunk;
        else if (this.#failure !== undefined) throw this.#failure;
        else if (this.#hasEnded) return;
        else await this.#news();
      }
    } finally {
      this.close();
    }
  }

  /** Closes the connection; further reading fails. */
  close(): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#message.destroy();
  }

  async #news(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        const words = `reading ${shownUrl(this.#url)}: no bytes came for ${this.#stallMs / 1000} s`;
        this.#fail(new Failure('unreachable', 'connection-stalled', words));
      }, this.#stallMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #fail(failure: Error): void {
    this.#failure ??= failure;
    this.#wake?.();
  }
}
