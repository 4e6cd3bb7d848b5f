import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { pipeline } from 'node:stream';

/** A port that passes everything on to another one and notes the requests that begin on it. */
export interface RequestCounter {
  readonly port: number;
  /** The first line of each request. */
  readonly requests: readonly string[];
  readonly close: () => void;
}

/** Starts counting the HTTP requests to a port of 127.0.0.1. */
export async function countRequests(target: number): Promise<RequestCounter> {
  const requests: string[] = [];
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    client.on('data', (chunk: Buffer) => {
      const line = /^(?:GET|POST|PUT|DELETE|HEAD) \S+/.exec(chunk.toString('latin1'))?.[0];
      if (line !== undefined) requests.push(line);
    });
    pipeline(client, upstream, () => undefined);
    pipeline(upstream, client, () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { port: address.port, requests, close: () => server.close() };
}
