import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

/** A port that leads to another one until it is cut. */
export interface BreakableLink {
  readonly port: number;
  /** How many connections were made over it. */
  connections: () => number;
  /** Breaks every connection; new ones are taken at once, or not before `mend`. */
  cut: (stays?: 'cut') => void;
  mend: () => void;
}

/** Opens such a port on 127.0.0.1; it closes when the test ends. */
export async function breakableLink(t: TestContext, target: number): Promise<BreakableLink> {
  const sockets = new Set<Socket>();
  let isCut = false;
  let connections = 0;
  const server = createServer((near) => {
    if (isCut) {
      near.destroy();
      return;
    }
    connections += 1;
    const far = connect(target, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  t.after(() => {
    cut();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    connections: () => connections,
    cut: (stays) => {
      isCut = stays === 'cut';
      cut();
    },
    mend: () => {
      isCut = false;
    },
  };
}
