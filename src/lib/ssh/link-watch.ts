import type { Duplex } from 'node:stream';

/** How often a silent link is asked for a sign of life, by ssh2, in ms. */
export const askEveryMs = 2000;

/** How long a link may be silent before it counts as lost: four questions without an answer. */
const silentMs = 8000;
const lookEveryMs = 1000;

/**
 * Destroys the stream of a connection on which nothing arrives any more. Anything that arrives is a sign of life: the answers to ssh2's own
 * questions, which it counts alone, come late on a slow link that is full of data.
 */
export function watchLink(stream: Duplex): void {
  let silentLooks = 0;
  // Looks, not times, are counted: while this process was stopped or its computer asleep nothing could arrive.
  const timer = setInterval(() => {
    silentLooks++;
    if (silentLooks * lookEveryMs < silentMs) return;
    clearInterval(timer);
    stream.destroy(new Error(`nothing was heard for ${silentMs / 1000} s`));
  }, lookEveryMs);
  timer.unref();
  stream.on('data', () => (silentLooks = 0));
  stream.once('close', () => {
    clearInterval(timer);
  });
}
