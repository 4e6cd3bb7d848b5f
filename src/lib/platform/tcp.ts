import { connect, type Socket } from 'node:net';
import { Failure, interrupted } from '../failure/failure.js';

/** Where to connect, and how long to wait for it. */
export interface TcpTarget {
  /** An IP address, with `%zone` when it is link-local. */
  readonly address: string;
  readonly port: number;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** A connected socket. Fails with the system's error (`ECONNREFUSED`, …), or as unreachable when nothing answers in time. */
export function connectTcp({ address, port, timeoutMs, signal }: TcpTarget): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(interrupted());
      return;
    }
    const socket = connect({ host: address, port, noDelay: true });
    const settle = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.removeListener('error', onError);
    };
    const onError = (error: Error) => {
      settle();
      socket.destroy();
      reject(error);
    };
    const onAbort = () => {
      onError(interrupted());
    };
    const timer = setTimeout(() => {
      onError(
        new Failure(
          'unreachable',
          'timeout',
          `nothing answers at ${address} port ${port} within ${timeoutMs / 1000} s`,
        ),
      );
    }, timeoutMs);
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError);
    socket.once('connect', () => {
      settle();
      resolve(socket);
    });
  });
}
