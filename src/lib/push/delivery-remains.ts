import type { EngineConnection } from '../engine/engine-connection.js';
import { listImages, removeImage } from '../engine/images.js';
import { Failure } from '../failure/failure.js';
import { limit } from '../platform/limit.js';
import type { ProgressListener } from '../platform/progress.js';
import { pieceLabel } from './image-piece.js';

/** Also after Ctrl-C, but then nobody is to wait long for a device that does not answer. */
const removingMs = 5000;

/**
 * Removes the pieces of images from an engine, those of earlier deliveries too; layers that are part of a whole image stay. Whoever sends another
 * image to the same device at this moment has to send some layers again.
 *
 * @param unnamed an image that has arrived and is not to stay either
 */
export async function removeImagesOfDelivery(
  engine: EngineConnection,
  progress: ProgressListener,
  unnamed: string | undefined,
): Promise<void> {
  const { signal, end } = limit(new AbortController().signal, removingMs);
  try {
    const images = await listImages(engine, { signal });
    const pieces = images.filter(({ labels }) => pieceLabel in labels).map(({ id }) => id);
    const unwanted = images.filter(({ id, tags }) => id === unnamed && tags.length === 0).map(({ id }) => id);
    for (const id of [...unwanted, ...pieces]) await removeImage(engine, id, signal);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const text = `pieces of an image may be left on the engine at ${engine.description}, until the next push: ${error.message}`;
    progress({ type: 'notice', level: 'warning', text });
  } finally {
    end();
  }
}
