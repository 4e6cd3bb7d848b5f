import { connect, isIP, type LookupFunction, type Socket } from 'node:net';
import { Failure, interrupted } from '../failure/failure.js';

/** Where to connect, and how long to wait for it. */
export interface TcpTarget {
  /** An IP address, with `%zone` when it is link-local. */
  readonly address: string;
  readonly port: number;
  readonly timeoutMs: number;
  /** All addresses of the same computer, tried in turn; `address` is then its name. */
  readonly addresses?: readonly string[];
  readonly signal?: AbortSignal;
}

/** A connected socket. Fails with the system's error (`ECONNREFUSED`, …), or as unreachable when nothing answers in time. */
export function connectTcp({ address, port, timeoutMs, addresses, signal }: TcpTarget): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(interrupted());
      return;
    }
    const known = addresses === undefined ? {} : { lookup: lookupAmong(addresses) };
    const socket = connect({ host: address, port, noDelay: true, autoSelectFamilyAttemptTimeout: attemptMs, ...known });
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

/** How long one of several addresses may take before the next is tried; Node's own 250 ms are too short for a slow line. */
const attemptMs = 1000;

function lookupAmong(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_name, options, done) => {
    const [first] = found;
    if (options.all === true || first === undefined) done(null, found);
    else done(null, first.address, first.family);
  };
}
