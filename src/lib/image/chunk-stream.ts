/** Chunks of bytes in order, whose beginning can be looked at before they are read. A chunk is good only until the next one is asked for. */
export class ChunkStream implements AsyncIterable<Buffer> {
  readonly #chunks: AsyncIterator<Buffer>;
  #peeked: Buffer[] = [];
  #ended = false;

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The first bytes, fewer than asked for only where the stream is shorter. They are still read later. */
  async peek(length: number): Promise<Buffer> {
    let have = this.#peeked.reduce((sum, chunk) => sum + chunk.length, 0);
    while (have < length && !this.#ended) {
      const next = await this.#chunks.next();
      if (next.done === true) this.#ended = true;
      else {
        this.#peeked.push(Buffer.from(next.value));
        have += next.value.length;
      }
    }
    this.#peeked = [Buffer.concat(this.#peeked)];
    return this.#peeked[0]?.subarray(0, length) ?? Buffer.alloc(0);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    try {
      for (const chunk of this.#peeked.splice(0)) if (chunk.length > 0) yield chunk;
      while (!this.#ended) {
        const next = await this.#chunks.next();
        if (next.done === true) this.#ended = true;
        else yield next.value;
      }
    } finally {
      await this.close();
    }
  }

  /** Ends whatever the chunks come from. */
  async close(): Promise<void> {
    this.#ended = true;
    await this.#chunks.return?.();
  }
}
