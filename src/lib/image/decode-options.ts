/** What a decoder needs besides its input. */
export interface DecodeOptions {
  /** What the user calls the archive, for messages. */
  readonly name: string;
  readonly signal: AbortSignal;
}

/**
 * Bytes that a decoder gives at a time. With Node's default of 16 kB, decoding gzip takes four times as long; beyond 1 MiB
 * nothing is gained.
 */
export const decodedChunkSize = 1024 * 1024;
