import { isLinkBroken } from '../engine/await-engine.js';
import type { EngineConnection } from '../engine/engine-connection.js';
import { loadImage } from '../engine/load-image.js';
import { type ImagePiece, pieceConfiguration, type PieceSteps, pieceTar, type PieceTar } from './image-piece.js';
import type { LayerSpool, LayerFile } from './layer-spool.js';
import { digestOf } from './saved-image.js';

/** What is sent to an engine, and who hears of it. */
export interface LayersRequest {
  readonly image: LayerSpool;
  /** How many of the lowest layers the engine has. */
  readonly present: number;
  /** Whether everything goes at once, without pieces that the engine could keep. */
  readonly inOnePiece: boolean;
  readonly signal: AbortSignal;
  /** Hears how many more layers the engine has for good. */
  readonly onArrived: (layers: number) => void;
  /** Hears the ID of a piece that the engine may still take apart by itself, because it has all of it. */
  readonly onUnanswered: (id: string) => void;
  /** Hears how many more bytes have gone, packed. */
  readonly onSent: (bytes: number) => void;
  /** Hears how many bytes of layers are on their way or there, and of how many, once that is known. */
  readonly onProgress: (bytes: number, total: number | undefined) => void;
}

/** A piece is closed once it has so many bytes: it costs the engine another image, which is little beside a second of a slow link. */
const pieceBytes = 12 * 1024 * 1024;

/**
 * Sends an engine the layers that it lacks, in pieces that it keeps when the link breaks: each is an image of the layers so far, and the last one
 * the image itself, whose ID is returned. While the engine takes a piece apart, the next one is on its way.
 */
export async function sendLayers(engine: EngineConnection, request: LayersRequest): Promise<string> {
  const { image, present, inOnePiece, signal, onArrived, onUnanswered, onSent, onProgress } = request;
  const { layers } = image.source;
  image.want(layers.slice(present));
  const answers: Promise<string>[] = [];
  let read = 0;
  let total = 0;
  try {
    for (let begin = present, end = present; end < layers.length || answers.length === 0; begin = end) {
      const files = new Map<string, LayerFile>();
      for (let bytes = 0; end < layers.length && (inOnePiece || bytes < pieceBytes); end += 1) {
        const layer = await image.layer(layers[end] ?? '');
        files.set(layer.digest, layer);
        bytes += layer.bytes;
      }
      const isLast = end === layers.length;
      const so = layers.slice(0, end);
      const configuration = isLast ? (await image.image()).configuration : pieceConfiguration(image.source, so);
      const piece = { configuration, layers: so, files: [...files.values()] };
      for (const layer of piece.files) total += layer.bytes;
      // Of what is on its way, an engine that takes it apart slowly needs room for two pieces only.
      await answers.at(-2);
      const onRead = (bytes: number) => {
        read += bytes;
        onProgress(read, isLast ? total : undefined);
      };
      const { tar, filled, answer } = sendPiece(engine, piece, { before: answers.at(-1), signal, onRead, onSent });
      const count = end - begin;
      const onAnswer = () => {
        onArrived(count);
      };
      answers.push(arriving(answer, onAnswer));
      answer.catch((error: unknown) => {
        if (tar.readableEnded && isLinkBroken(error)) onUnanswered(digestOf(configuration));
      });
      await filled;
    }
    return (await Promise.all(answers)).at(-1) ?? '';
  } catch (error) {
    // Nothing goes on after the failure.
    await Promise.allSettled(answers);
    throw error;
  }
}

function arriving(answer: Promise<string>, onArrived: () => void): Promise<string> {
  const arrived = answer.then((id) => {
    onArrived();
    return id;
  });
  arrived.catch(() => undefined);
  return arrived;
}

/** How long an engine that has all of a piece may take to answer after Ctrl-C, so that it is known what there is to remove. */
const answerMs = 5000;

interface PieceOptions extends PieceSteps {
  readonly signal: AbortSignal;
  readonly onSent: (bytes: number) => void;
}

function sendPiece(
  engine: EngineConnection,
  piece: ImagePiece,
  { before, onRead, signal, onSent }: PieceOptions,
): PieceTar & { readonly answer: Promise<string> } {
  const { tar, filled } = pieceTar(piece, { before, onRead });
  const end = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onAbort = () => {
    const giveUp = () => {
      end.abort();
    };
    timer = setTimeout(giveUp, tar.readableEnded ? answerMs : 0);
  };
  if (signal.aborted) end.abort();
  signal.addEventListener('abort', onAbort, { once: true });
  let last = 0;
  const onTotal = (bytes: number) => {
    onSent(bytes - last);
    last = bytes;
  };
  const answer = loadImage(engine, { tar, onSent: onTotal, signal: end.signal }).finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  });
  return { tar, filled: Promise.race([filled, answer.then(() => undefined)]), answer: answer.then(([id = '']) => id) };
}
