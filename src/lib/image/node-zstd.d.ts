import type { Transform } from 'node:stream';

/** What Node has from 22.15 on. */
declare module 'node:zlib' {
  const createZstdDecompress:
    | ((options: { readonly chunkSize: number; readonly params: Readonly<Record<number, number>> }) => Transform)
    | undefined;
}
