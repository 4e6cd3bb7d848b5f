import http from 'node:http';
import { connectTcp } from '../platform/tcp.js';

/** Where the Supervisor's API listens. */
export const supervisorPort = 48_484;

/**
 * Whether a balena Supervisor answers on a device: `GET /ping` needs no key. A port that is closed, or kept closed by the
 * device's firewall outside local mode, counts as no.
 */
export async function supervisorAnswers(
  address: string,
  { port = supervisorPort, signal }: { readonly port?: number; readonly signal: AbortSignal },
): Promise<boolean> {
  try {
    const socket = await connectTcp({ address, port, timeoutMs: 1500, signal });
    return await new Promise((resolve) => {
      const request = http.get({ path: '/ping', timeout: 3000, createConnection: () => socket }, (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      });
      request.on('timeout', () => request.destroy());
      request.on('close', () => {
        resolve(false);
      });
      request.on('error', () => {
        resolve(false);
      });
    });
  } catch {
    signal.throwIfAborted();
    return false;
  }
}
