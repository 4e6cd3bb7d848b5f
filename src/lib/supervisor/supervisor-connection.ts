import type { Duplex } from 'node:stream';
import { connectTcp } from '../platform/tcp.js';

/** A way to a device's Supervisor: each call opens one byte stream to it, whether directly over TCP or through SSH. */
export interface SupervisorConnection {
  connect(signal: AbortSignal): Promise<Duplex>;
  /** Where the Supervisor is, for messages: `the Supervisor at 192.168.1.20:48484`, `the Supervisor of crane over SSH`. */
  readonly description: string;
  /**
   * The key that opens its API outside local mode, read from the device when it is first needed; undefined where the device has none to read.
   * A way that others can listen in on has none: the key would pass over it in clear.
   */
  readonly apiKey?: () => Promise<string | undefined>;
}

/** Where the Supervisor's API listens on a device. */
export const supervisorPort = 48_484;

const connectMs = 5000;

/** The Supervisor on its open port, which it has in local mode and on devices without a fleet. */
export function tcpSupervisorConnection(address: string, port: number = supervisorPort): SupervisorConnection {
  return {
    description: `the Supervisor at ${address.includes(':') ? `[${address}]` : address}:${port}`,
    connect: (signal) => connectTcp({ address, port, timeoutMs: connectMs, signal }),
  };
}
