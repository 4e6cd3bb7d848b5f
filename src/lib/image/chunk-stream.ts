/** Chunks of bytes in order, whose beginning can be looked at before they are read. A chunk is good only until the next one is asked for. */
export class ChunkStream implements AsyncIterable<Buffer> {
  /** Read one after the other. */
  readonly #parts: AsyncIterator<Buffer>[];
  #peeked: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#parts = [chunks[Symbol.asyncIterator]()];
  }

  /** The first bytes, fewer than asked for only where the stream is shorter. They are still read later. */
  async peek(length: number): Promise<Buffer> {
    const parts = [this.#peeked];
    for (let have = this.#peeked.length; have < length;) {
      // What was put back is good only until more is asked for.
      if (parts.length === 1) parts[0] = Buffer.from(this.#peeked);
      const chunk = await this.#pull();
      if (chunk === undefined) break;
      parts.push(Buffer.from(chunk));
      have += chunk.length;
    }
    if (parts.length > 1) this.#peeked = Buffer.concat(parts);
    return this.#peeked.subarray(0, length);
  }

  /** The first bytes, read; fewer than asked for only where the stream is shorter. */
  async take(length: number): Promise<Buffer> {
    const bytes = await this.peek(length);
    this.#peeked = this.#peeked.subarray(bytes.length);
    return bytes;
  }

  /** The next chunk, or undefined at the end. */
  async next(): Promise<Buffer | undefined> {
    if (this.#peeked.length === 0) return this.#pull();
    const chunk = this.#peeked;
    this.#peeked = Buffer.alloc(0);
    return chunk;
  }

  /** Puts bytes that were read in front again. */
  unread(bytes: Buffer): void {
    this.#peeked = this.#peeked.length === 0 ? bytes : Buffer.concat([bytes, this.#peeked]);
  }

  /** Puts as many chunks as were read in front again; nothing may have been looked at beyond them. */
  putBack(chunks: AsyncIterable<Buffer>): void {
    this.#parts.unshift(chunks[Symbol.asyncIterator]());
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    try {
      for (let chunk = await this.next(); chunk !== undefined; chunk = await this.next()) yield chunk;
    } finally {
      await this.close();
    }
  }

  /** Ends whatever the chunks come from. */
  async close(): Promise<void> {
    for (const part of this.#parts.splice(0)) await part.return?.();
  }

  async #pull(): Promise<Buffer | undefined> {
    for (let part = this.#parts[0]; part !== undefined; part = this.#parts[0]) {
      const next = await part.next();
      if (next.done !== true) return next.value;
      if (this.#parts[0] === part) this.#parts.shift();
    }
    return undefined;
  }
}
