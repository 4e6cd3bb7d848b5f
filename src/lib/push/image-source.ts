import { createReadStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { Readable } from 'node:stream';
import type { EngineConnection } from '../engine/engine-connection.js';
import { imageDetails, saveImage } from '../engine/images.js';
import { Failure, interrupted } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import { ChunkStream } from '../image/chunk-stream.js';
import { decodeGzip } from '../image/decode-gzip.js';
import { decodeZstd } from '../image/decode-zstd.js';
import { notAnImage, savedImage } from './saved-image.js';

/** A container image on this computer, in an engine or in a file. */
export interface ImageSource {
  /** What the user calls it. */
  readonly name: string;
  /** Its ID, `sha256:…`, as its engine knows it. */
  readonly id: string;
  /** Digests of its unpacked layers, the lowest first. */
  readonly layers: readonly string[];
  /** Bytes of its layers together, unpacked. */
  readonly bytes: number;
  readonly os: string;
  readonly architecture: string;
  readonly variant: string;
  /** The image as `docker save` or an OCI image layout has it: a tar, from its beginning at each call. */
  readonly open: (signal: AbortSignal) => AsyncIterable<Buffer>;
}

/** An image in the engine of this computer, or in any other. */
export async function imageInEngine(engine: EngineConnection, name: string, signal: AbortSignal): Promise<ImageSource> {
  const details = await imageDetails(engine, name, signal);
  if (details === undefined) {
    throw new Failure(
      'not-found',
      'image-not-found',
      `the engine of this computer (${engine.description}) has no image ${name}`,
      {
        hint: 'docker images lists those that it has',
      },
    );
  }
  return { ...details, name, open: (passSignal) => saveImage(engine, details.id, passSignal) };
}

/** An image in a file that `docker save` wrote, or in an OCI image layout that is one tar; either may be packed with gzip or Zstandard. */
export async function imageInFile(file: string, signal: AbortSignal): Promise<ImageSource> {
  const open = (passSignal: AbortSignal) => fileContent(file, passSignal);
  const documents = new Map<string, Buffer>();
  let bytes = 0;
  await readSavedFiles(open(signal), file, async (content, { name, size }) => {
    const document = await documentIn(content, size);
    if (document === undefined) bytes += size;
    else documents.set(name, document);
  });
  return { ...savedImage(documents, file), name: file, bytes, open };
}

/** Documents are small and begin with a bracket, as no tar and nothing packed does. */
export async function documentIn(content: ChunkStream, size: number): Promise<Buffer | undefined> {
  if (size > 8 * 1024 * 1024) return undefined;
  const [first] = await content.peek(1);
  return first === 0x7b || first === 0x5b ? content.take(size) : undefined;
}

/** A file within a saved image. */
export interface SavedFile {
  readonly name: string;
  readonly size: number;
}

/** Shows each file within a saved image; what is not read of one is passed over. */
export async function readSavedFiles(
  tar: AsyncIterable<Buffer>,
  name: string,
  onFile: (content: ChunkStream, file: SavedFile) => Promise<void>,
): Promise<void> {
  const { extract } = await import('tar-stream');
  const entries = extract();
  const source = Readable.from(tar, { objectMode: false });
  let unreadable: unknown;
  source.on('error', (error) => {
    unreadable = error;
    entries.destroy(error);
  });
  let notTar: unknown;
  entries.on('error', (error) => {
    notTar = error;
  });
  source.pipe(entries);
  try {
    for await (const entry of entries) {
      const { name: file, size, type } = entry.header;
      const content = new ChunkStream(chunksOf(entry));
      if (type === 'file') await onFile(content, { name: file, size });
      while ((await content.next()) !== undefined);
    }
  } catch (error) {
    if (unreadable === undefined && error === notTar) throw notAnImage(name, 'it is no tar', error);
    throw error instanceof Failure ? error : whileDoing(`reading ${name}`, error);
  } finally {
    source.destroy();
  }
}

async function* chunksOf(entry: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
  for await (const chunk of entry) if (Buffer.isBuffer(chunk)) yield chunk;
}

/** What a file holds, unpacked where it is packed. */
async function* fileContent(file: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  const stream = createReadStream(file, { highWaterMark: 1024 * 1024 });
  try {
    for await (const chunk of unpacked(new ChunkStream(stream), file, signal)) {
      if (signal.aborted) throw interrupted();
      yield chunk;
    }
  } catch (error) {
    throw whileDoing(`reading ${file}`, error);
  } finally {
    stream.destroy();
    await finished(stream).catch(() => undefined);
  }
}

/** Bytes without the packing that they begin with. */
export async function* unpacked(content: ChunkStream, name: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  const start = await content.peek(4);
  const hex = start.toString('hex');
  if (hex.startsWith('1f8b')) yield* decodeGzip(content, { name, signal });
  else if (hex === '28b52ffd') yield* decodeZstd(content, { name, signal });
  else yield* content;
}
