// A thread that hashes, so that neither what unpacks nor what writes waits for it.
import { createHash, type Hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';

/** What the thread is told first: for each series of bytes, the hashes to make of it. */
export interface HashThreadStart {
  readonly algorithms: readonly (readonly string[])[];
}

/** Bytes in shared memory, as the next of a series. */
export interface HashPiece {
  readonly series: number;
  readonly bytes: Uint8Array;
}

/** That the first piece that has not been answered is hashed or, as the answer to `end`, the digests of every series in hexadecimal. */
export type HashReply = 'hashed' | { readonly digests: readonly (readonly string[])[] };

let all: readonly (readonly Hash[])[] = [];
parentPort?.on('message', (message: HashThreadStart | HashPiece | 'end') => {
  const reply = (answer: HashReply) => {
    parentPort?.postMessage(answer);
  };
  if (message === 'end') reply({ digests: all.map((hashes) => hashes.map((hash) => hash.digest('hex'))) });
  else if ('algorithms' in message) all = message.algorithms.map((names) => names.map((name) => createHash(name)));
  else {
    for (const hash of all[message.series] ?? []) hash.update(message.bytes);
    reply('hashed');
  }
});
