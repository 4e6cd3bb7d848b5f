import type { Duplex } from 'node:stream';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { connectTcp } from '../platform/tcp.js';

/**
 * A way to a device's engine: each call opens one byte stream to it, whether directly over TCP or through SSH.
 * A way that is closed fails with kind `unreachable`.
 */
export interface EngineConnection {
  connect(): Promise<Duplex>;
  /** Where the engine is, for messages: `192.168.1.20:2375`, `engine of 3f2a9c1 over SSH`. */
  readonly description: string;
}

/** Where an engine listens without TLS or login on a balenaOS device in development mode. */
export const developmentEnginePort = 2375;

const connectTimeoutMs = 5000;
/** Asked after this much silence, and given up ten questions, one a second, later. */
const keepAliveMs = 1000;

/** The engine on a plain TCP port. Keep-alive is on, so that a stream notices a device that lost power. */
export function tcpEngineConnection(host: string, port: number = developmentEnginePort): EngineConnection {
  const description = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return {
    description,
    connect: async () => {
      try {
        const socket = await connectTcp({ address: host, port, timeoutMs: connectTimeoutMs });
        return socket.setKeepAlive(true, keepAliveMs);
      } catch (error) {
        throw whileDoing(`connecting to the engine at ${description}`, error, { hint: hintFor(error) });
      }
    },
  };
}

function hintFor(error: unknown): string {
  return systemErrorCode(error) === 'ECONNREFUSED'
    ? 'The engine listens there only when "developmentMode" is true in the device\'s config.json'
    : 'Check that the device is switched on and on the same network';
}
