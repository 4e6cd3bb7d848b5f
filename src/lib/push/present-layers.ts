import type { EngineConnection } from '../engine/engine-connection.js';
import { imageDetails, listImages } from '../engine/images.js';

/** Requests at once: each takes a connection of its own. */
const requestsAtOnce = 8;

/**
 * How many of an image's layers, counted from the lowest, an engine has already. It has a layer only together with all below
 * it, as a part of an image: the same content on top of something else is another layer to it.
 */
export async function presentLayers(
  engine: EngineConnection,
  layers: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const images = new Set((await listImages(engine, { signal })).map(({ id }) => id));
  let present = 0;
  const ask = async () => {
    for (const id of images) {
      images.delete(id);
      if (present === layers.length) return;
      // An image may have been removed since.
      const had = (await imageDetails(engine, id, signal))?.layers ?? [];
      present = Math.max(present, commonLength(layers, had));
    }
  };
  await Promise.all(Array.from({ length: requestsAtOnce }, ask));
  return present;
}

function commonLength(one: readonly string[], other: readonly string[]): number {
  const different = one.findIndex((layer, index) => layer !== other[index]);
  return different < 0 ? one.length : different;
}
