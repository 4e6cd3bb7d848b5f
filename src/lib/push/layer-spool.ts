import { createHash } from 'node:crypto';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { Failure } from '../failure/failure.js';
import { whileDoing } from '../failure/while-doing.js';
import type { ChunkStream } from '../image/chunk-stream.js';
import { folders } from '../platform/environment.js';
import { documentIn, type ImageSource, readSavedFiles, type SavedFile, unpacked } from './image-source.js';
import { legacyLayer } from './legacy-layer.js';
import { type SavedDocuments, type SavedImage, savedImage } from './saved-image.js';

/** One layer, unpacked in a file. */
export interface LayerFile {
  readonly digest: string;
  readonly file: string;
  /** Bytes of the file. */
  readonly bytes: number;
}

/**
 * The layers of one image that any device lacks, taken out of it once for all of them, into a temporary folder. A layer is handed out only
 * after its digest has been found to be the right one.
 */
export class LayerSpool {
  readonly source: ImageSource;
  readonly #abort = new AbortController();
  readonly #layers = new Map<string, Deferred<LayerFile>>();
  readonly #passes: Promise<void>[] = [];
  #image = deferred<SavedImage>();
  #folder: Promise<string> | undefined;
  #files = 0;
  /** Whether the image has been passed through, or is being, without a failure. */
  #isBegun = false;

  constructor(source: ImageSource) {
    this.source = source;
  }

  /** Has these layers taken out, unless they are already; they come out of the image in whatever order it has them. */
  want(digests: readonly string[]): void {
    const lacking = digests.filter((digest) => !this.#layers.has(digest));
    if (lacking.length === 0 && this.#isBegun) return;
    if (!this.#isBegun) this.#image = deferred();
    this.#isBegun = true;
    for (const digest of lacking) this.#layers.set(digest, deferred());
    this.#passes.push(this.#pass(new Set(lacking)));
  }

  /** A layer that is wanted, as soon as it is there. */
  layer(digest: string): Promise<LayerFile> {
    const layer = this.#layers.get(digest);
    if (layer === undefined) throw new Error(`nobody wants ${digest}`);
    return layer.promise;
  }

  /** The image itself, which is known once it has been passed through for the first time. */
  image(): Promise<SavedImage> {
    this.want([]);
    return this.#image.promise;
  }

  /** Ends what still goes on and removes the files. */
  async close(): Promise<void> {
    this.#abort.abort();
    await Promise.all(this.#passes);
    const folder = await this.#folder?.catch(() => undefined);
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }

  /** Goes through the whole image once. Never fails: whoever waits for a layer or for the image hears of it. */
  async #pass(wanted: Set<string>): Promise<void> {
    const { source } = this;
    const documents = new Map<string, Buffer>();
    try {
      await readSavedFiles(source.open(this.#abort.signal), source.name, async (content, file) => {
        const document = await documentIn(content, file.size);
        if (document !== undefined) documents.set(file.name, document);
        else if (wanted.size > 0 && (await mayBeWanted(wanted, content, file, documents, source.layers)))
          await this.#take(content, wanted);
      });
      if (wanted.size > 0) {
        const message = `${source.name} lacks its layer ${[...wanted].join(', ')}`;
        throw new Failure('failed', 'image-incomplete', message, { hint: 'Build or save the image again' });
      }
      this.#image.resolve(savedImage(documents, source.name));
    } catch (error) {
      for (const digest of wanted) {
        this.#layers.get(digest)?.reject(error);
        this.#layers.delete(digest);
      }
      this.#image.reject(error);
      this.#isBegun = false;
    }
  }

  async #take(content: ChunkStream, wanted: Set<string>): Promise<void> {
    const file = await this.#newFile();
    const handle = await open(file, 'wx', 0o600).catch((error: unknown) => {
      throw whileDoing(`writing ${file}`, error);
    });
    try {
      const { digest, bytes } = await this.#write(content, handle, file);
      if (wanted.delete(digest)) this.#layers.get(digest)?.resolve({ digest, file, bytes });
      else await rm(file);
    } finally {
      await handle.close();
    }
  }

  async #write(content: ChunkStream, handle: FileHandle, file: string): Promise<{ digest: string; bytes: number }> {
    const hash = createHash('sha256');
    const plain = unpacked(content, this.source.name, this.#abort.signal);
    let bytes = 0;
    for await (const chunk of plain) {
      hash.update(chunk);
      await handle.writeFile(chunk).catch((error: unknown) => {
        const hint = 'Make room, or name another folder for temporary files with TMPDIR';
        throw whileDoing(`writing ${file}`, error, { hint });
      });
      bytes += chunk.length;
    }
    return { digest: `sha256:${hash.digest('hex')}`, bytes };
  }

  async #newFile(): Promise<string> {
    this.#folder ??= mkdtemp(path.join(folders.temporary(), 'davit-layers-'));
    const folder = await this.#folder.catch((error: unknown) => {
      throw whileDoing('making a temporary folder', error);
    });
    this.#files += 1;
    return path.join(folder, `${this.#files}.tar`);
  }
}

/** Whether a file can be one of the wanted layers, by what is known before it is unpacked. */
async function mayBeWanted(
  wanted: ReadonlySet<string>,
  content: ChunkStream,
  { name, size }: SavedFile,
  documents: SavedDocuments,
  layers: readonly string[],
): Promise<boolean> {
  // VERSION, beside the layers of engines before Docker 25.
  if (size < smallestLayer) return false;
  const legacy = documents.get(name.replace(/layer\.tar$/, 'json'));
  const known = legacy === undefined ? await digestInName(name, content) : legacyLayer(legacy, layers);
  return known === undefined || wanted.has(known);
}

/** No tar is smaller when it is packed. */
const smallestLayer = 20;

/** An OCI image layout calls each file by its digest, which is the layer's own where it is not packed. */
async function digestInName(name: string, content: ChunkStream): Promise<string | undefined> {
  const hex = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(name)?.[1];
  const isTar = (await content.peek(262)).toString('latin1', 257) === 'ustar';
  return hex === undefined || !isTar ? undefined : `sha256:${hex}`;
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

function deferred<T>(): Deferred<T> {
  let resolve: Deferred<T>['resolve'] = () => undefined;
  let reject: Deferred<T>['reject'] = () => undefined;
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  // It may fail after the last one who waited has left.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
