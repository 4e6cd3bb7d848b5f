import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A way to a TCP port that counts what goes through it and can be cut. */
export interface CountedLink {
  readonly port: number;
  /** Bytes that went to the port, and that came back from it. */
  readonly sent: () => number;
  readonly received: () => number;
  readonly connections: () => number;
  /** Breaks every connection now; new ones work, unless it is to stay cut. */
  readonly cut: (stays?: 'cut') => void;
  /** Breaks every connection as soon as so many more bytes have been sent; new ones work. */
  readonly cutAfter: (bytes: number) => void;
  /**
   * Lets nothing more through in either direction once so many more bytes have passed in one of them; resolves then. `letGo` ends that.
   */
  readonly holdAfter: (bytes: number) => Promise<void>;
  readonly letGo: () => void;
  /** Changes bytes on their way to the port; `at` counts all that were sent. */
  setDamage: (damage: ((chunk: Buffer, at: number) => Buffer) | undefined) => void;
  readonly close: () => Promise<void>;
}

/** Opens such a way; on a free port of 127.0.0.1, if not told otherwise. */
export async function openCountedLink(
  port: number,
  listen: { readonly port?: number; readonly host?: string } = {},
): Promise<CountedLink> {
  let sent = 0;
  let received = 0;
  let connections = 0;
  let isCut = false;
  let cutAt = Infinity;
  let hold: { readonly sent: number; readonly received: number; readonly reached: () => void } | undefined;
  let isHeld = false;
  let damage: ((chunk: Buffer, at: number) => Buffer) | undefined;
  const sockets = new Set<Socket>();
  const cut = () => {
    cutAt = Infinity;
    for (const socket of sockets) socket.resetAndDestroy();
  };
  const server = createServer({ noDelay: true }, (near) => {
    if (isCut) {
      near.destroy();
      return;
    }
    connections += 1;
    const far = connect({ host: '127.0.0.1', port, noDelay: true });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
      one.on('end', () => other.end());
      one.on('data', (chunk: Buffer) => {
        const isSent = one === near;
        const passed = isSent && damage !== undefined ? damage(chunk, sent) : chunk;
        if (isSent) sent += chunk.length;
        else received += chunk.length;
        if (sent >= cutAt) {
          cut();
          return;
        }
        if (hold !== undefined && (sent >= hold.sent || received >= hold.received)) {
          hold.reached();
          hold = undefined;
          isHeld = true;
          for (const socket of sockets) socket.pause();
        }
        if (!other.write(passed)) {
          one.pause();
          other.once('drain', () => {
            if (!isHeld) one.resume();
          });
        }
      });
    }
  });
  server.listen({ port: 0, host: '127.0.0.1', ...listen });
  await once(server, 'listening');
  const listening = server.address();
  if (listening === null || typeof listening === 'string') throw new Error('no port');
  return {
    port: listening.port,
    sent: () => sent,
    received: () => received,
    connections: () => connections,
    cut: (stays) => {
      isCut = stays === 'cut';
      cut();
    },
    cutAfter: (bytes) => {
      cutAt = sent + bytes;
    },
    holdAfter: (bytes) =>
      new Promise((resolve) => {
        hold = { sent: sent + bytes, received: received + bytes, reached: resolve };
      }),
    letGo: () => {
      isHeld = false;
      for (const socket of sockets) socket.resume();
    },
    setDamage: (change) => {
      damage = change;
    },
    close: async () => {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
