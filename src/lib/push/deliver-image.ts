import { awaitEngine, isLinkBroken } from '../engine/await-engine.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { engineInfo } from '../engine/engine-info.js';
import { imageDetails, tagImage } from '../engine/images.js';
import { Failure, interrupted } from '../failure/failure.js';
import { limit } from '../platform/limit.js';
import { ignoreProgress, type ProgressListener } from '../platform/progress.js';
import { waitAtMost } from '../platform/wait.js';
import { removeImagesOfDelivery } from './delivery-remains.js';
import type { LayerSpool } from './layer-spool.js';
import { presentLayers } from './present-layers.js';
import { sendLayers } from './send-layers.js';

/** What is to be on a device's engine. */
export interface DeliveryRequest {
  readonly image: LayerSpool;
  /** The tag that it gets once it is whole: `local_image_main:latest`. */
  readonly tag: string;
  /** What the progress calls it: the service, or the device where there are several. */
  readonly id: string;
}

/** What a delivery came to. */
export interface Delivered {
  readonly imageId: string;
  readonly layers: number;
  /** Layers that the device lacked. */
  readonly layersSent: number;
  /** Bytes handed to the connection, packed, those of broken attempts too. */
  readonly bytesSent: number;
  /** Bytes of all layers unpacked, as `docker save` would send them. */
  readonly imageBytes: number;
  readonly seconds: number;
}

/** How long a device may stay away on the way. */
const patienceMs = 60_000;
const fruitlessAttempts = 3;
const unansweredMs = 10_000;

/**
 * Brings an image to a device's engine by sending the layers that it lacks. Layers that have arrived stay when the link breaks; the image gets
 * its tag only when the engine has all of it under the same ID. Nothing else is left behind, unless the device stays away.
 */
export async function deliverImage(
  engine: EngineConnection,
  request: DeliveryRequest,
  { signal, progress = ignoreProgress }: { readonly signal: AbortSignal; readonly progress?: ProgressListener },
): Promise<Delivered> {
  const delivery = new Delivery(request, signal, progress);
  const startedAt = performance.now();
  let fruitless = 0;
  try {
    for (;;) {
      const presentBefore = delivery.present;
      try {
        const result = await delivery.attempt(engine);
        return { ...result, seconds: Math.round((performance.now() - startedAt) / 100) / 10 };
      } catch (error) {
        if (signal.aborted) throw interrupted();
        fruitless = delivery.present > presentBefore ? 0 : fruitless + 1;
        if (fruitless === fruitlessAttempts || !delivery.mayTryAgainAfter(error)) throw error;
        if (isLinkBroken(error)) await awaitEngine(engine, patienceMs, signal);
      }
    }
  } catch (error) {
    progress({ type: 'step', id: request.id, phase: 'send', state: 'failed' });
    if (!isLinkBroken(error)) await removeImagesOfDelivery(engine, progress, delivery.unnamed);
    throw error;
  }
}

/** One image on its way to one device, over any number of attempts. */
class Delivery {
  /** How many layers the engine had when it was last asked, or has had since. */
  present = 0;
  /** The image while the engine has it and it has no name yet. */
  unnamed: string | undefined;
  readonly #request: DeliveryRequest;
  readonly #signal: AbortSignal;
  readonly #progress: ProgressListener;
  #bytesSent = 0;
  #layersSent = 0;
  #reportedAt = -Infinity;
  /** Pieces that may still arrive by themselves: all of them had been sent when the link broke. */
  #unanswered: readonly string[] = [];
  #sendsWhole = false;

  constructor(request: DeliveryRequest, signal: AbortSignal, progress: ProgressListener) {
    this.#request = request;
    this.#signal = signal;
    this.#progress = progress;
  }

  async attempt(engine: EngineConnection): Promise<Omit<Delivered, 'seconds'>> {
    const { image, tag } = this.#request;
    const { layers, bytes } = image.source;
    const imageId = (await this.#idOfPresent(engine)) ?? (await this.#send(engine));
    await tagImage(engine, imageId, tag, this.#signal);
    this.unnamed = undefined;
    await removeImagesOfDelivery(engine, this.#progress, undefined);
    const bytesSent = this.#bytesSent;
    this.#step('done', bytesSent === 0 ? { detail: 'the device has it' } : { current: bytesSent });
    return { imageId, layers: layers.length, layersSent: this.#layersSent, bytesSent, imageBytes: bytes };
  }

  /** Whether another attempt can go better, and is prepared for. */
  mayTryAgainAfter(error: unknown): boolean {
    const { id, image } = this.#request;
    if (isLinkBroken(error)) {
      const text = `${id}: the link broke; going on after layer ${this.present} of ${image.source.layers.length}`;
      this.#progress({ type: 'notice', level: 'warning', text });
      return true;
    }
    const isRefused = error instanceof Failure && (error.code === 'image-refused' || error.code.startsWith('engine-'));
    if (!isRefused || this.#sendsWhole) return false;
    this.#sendsWhole = true;
    const text = `${id}: ${error.message}; sending the whole image ${image.source.name}`;
    this.#progress({ type: 'notice', level: 'warning', text });
    return true;
  }

  /** An image of this ID is this image: the ID is the digest of a configuration that names every layer by its digest. */
  async #idOfPresent(engine: EngineConnection): Promise<string | undefined> {
    return (await imageDetails(engine, this.#request.image.source.id, this.#signal))?.id;
  }

  async #send(engine: EngineConnection): Promise<string> {
    const signal = this.#signal;
    const { image } = this.#request;
    const { layers } = image.source;
    const { keepsImagesInContainerd } = await engineInfo(engine, signal);
    const inOnePiece = this.#sendsWhole || keepsImagesInContainerd;
    await this.#awaitUnanswered(engine);
    this.present = inOnePiece ? 0 : await presentLayers(engine, layers, signal);
    // What a broken link took with it is sent twice and counts once.
    this.#layersSent = Math.max(this.#layersSent, layers.length - this.present);
    this.#step('active', { detail: `${layers.length - this.present} of ${layers.length} layers` });
    const id = await sendLayers(engine, {
      image,
      present: this.present,
      inOnePiece,
      signal,
      onArrived: (count) => {
        this.present += count;
      },
      onUnanswered: (piece) => {
        this.#unanswered = [...this.#unanswered, piece];
      },
      onSent: (bytes) => {
        this.#bytesSent += bytes;
      },
      onProgress: (bytes, total) => {
        // Ten times a second is enough for eyes and for logs.
        if (performance.now() - this.#reportedAt < 100) return;
        this.#reportedAt = performance.now();
        this.#step('active', { current: bytes, ...(total === undefined ? {} : { total }) });
      },
    });
    this.unnamed = id;
    if (!keepsImagesInContainerd) await this.#proveId(id);
    await this.#proveLayers(engine, id);
    return id;
  }

  /** An engine goes on with what it has all of when whoever sent it is gone. */
  async #awaitUnanswered(engine: EngineConnection): Promise<void> {
    const pieces = this.#unanswered;
    this.#unanswered = [];
    const { signal, end } = limit(this.#signal, unansweredMs);
    for (const piece of pieces) {
      while (!signal.aborted && (await imageDetails(engine, piece, this.#signal)) === undefined)
        await waitAtMost(200, signal);
    }
    end();
  }

  /** The ID is the digest of the configuration, which names each layer by its digest; the engine has taken the digests itself. */
  async #proveId(id: string): Promise<void> {
    const { image } = this.#request;
    const wanted = (await image.image()).id;
    if (id !== wanted) throw differs(image.source.name, id, wanted);
  }

  async #proveLayers(engine: EngineConnection, id: string): Promise<void> {
    const { name, layers } = this.#request.image.source;
    const details = await imageDetails(engine, id, this.#signal);
    const had = (details?.layers ?? []).join(' ');
    if (had !== layers.join(' ')) throw differs(name, had, layers.join(' '));
  }

  #step(
    state: 'active' | 'done',
    more: { readonly current?: number; readonly total?: number; readonly detail?: string },
  ): void {
    this.#progress({ type: 'step', id: this.#request.id, phase: 'send', state, ...more });
  }
}

function differs(name: string, is: string, wanted: string): Failure {
  return new Failure('failed', 'image-differs', `what arrived of ${name} is ${is} instead of ${wanted}`, {
    hint: 'Push again; what runs on the device has not been touched',
  });
}
