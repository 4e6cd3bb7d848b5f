import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { gzipBlocks } from './gzip-blocks.js';
import type { LayerFile } from './layer-spool.js';
import { digestOf } from './saved-image.js';
import { tarBlock, tarHeader, tarPadding } from './tar-entry.js';

/** What is loaded into an engine at once: an image that may consist of the lower layers of another one only. */
export interface ImagePiece {
  /** Its configuration, byte for byte. */
  readonly configuration: Buffer;
  /** Digests of all its layers, the lowest first. */
  readonly layers: readonly string[];
  /** Those that the engine is sent. */
  readonly files: readonly LayerFile[];
}

/** The label of images that are pieces of another one, by which they are found and removed; its value is that one's ID. */
export const pieceLabel = 'io.davit.piece-of';

/**
 * The configuration of an image that has only some of another one's layers. An engine keeps layers only as parts of an image, and throws away
 * what had arrived of one when the link breaks.
 */
export function pieceConfiguration(
  image: { readonly id: string; readonly os: string; readonly architecture: string },
  layers: readonly string[],
): Buffer {
  const { id, os, architecture } = image;
  const config = { Labels: { [pieceLabel]: id } };
  return Buffer.from(JSON.stringify({ architecture, os, config, rootfs: { type: 'layers', diff_ids: layers } }));
}

/** What a piece waits for, and who hears of it. */
export interface PieceSteps {
  /** The engine's answer to the piece before it. */
  readonly before: Promise<unknown> | undefined;
  /** Hears how many more bytes of layers have been taken out. */
  readonly onRead: (bytes: number) => void;
}

/** A packed tar stream, and when all of it but its end has been taken out. */
export interface PieceTar {
  readonly tar: Readable;
  readonly filled: Promise<void>;
}

/**
 * A piece as a tar in the format of `docker save`, without the layers that the engine has. Its end is held back until the engine has the piece
 * `before` it: engines read the whole tar before they take a layer out of it, so that a piece can be on its way while the one below it is
 * still being taken apart.
 */
export function pieceTar(piece: ImagePiece, { before, onRead }: PieceSteps): PieceTar {
  let onFilled: () => void = () => undefined;
  const filled = new Promise<void>((resolve) => {
    onFilled = resolve;
  });
  const tar = gzipBlocks(tarChunks(piece, { before, onFilled, onRead }));
  return { tar: Readable.from(tar, { objectMode: false }), filled };
}

async function* tarChunks(
  { configuration, layers, files }: ImagePiece,
  steps: PieceSteps & { readonly onFilled: () => void },
): AsyncGenerator<Buffer> {
  const configurationFile = `${hexOf(digestOf(configuration))}.json`;
  const manifest = [{ Config: configurationFile, RepoTags: null, Layers: layers.map(layerFile) }];
  yield document('manifest.json', Buffer.from(JSON.stringify(manifest)));
  yield document(configurationFile, configuration);
  for (const { digest, file, bytes } of files) {
    yield tarHeader(layerFile(digest), bytes);
    const content: AsyncIterable<Buffer> = createReadStream(file, { highWaterMark: 1024 * 1024 });
    for await (const chunk of content) {
      yield chunk;
      steps.onRead(chunk.length);
    }
    yield tarPadding(bytes);
  }
  steps.onFilled();
  // Whatever is being packed is to be on its way.
  yield Buffer.alloc(0);
  await steps.before;
  yield Buffer.alloc(2 * tarBlock);
}

function document(name: string, content: Buffer): Buffer {
  return Buffer.concat([tarHeader(name, content.length), content, tarPadding(content.length)]);
}

function layerFile(digest: string): string {
  return `${hexOf(digest)}.tar`;
}

function hexOf(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1);
}
