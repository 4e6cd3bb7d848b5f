import { whileDoing } from '../failure/while-doing.js';
import { limit } from '../platform/limit.js';
import { connectTcp } from '../platform/tcp.js';
import { fingerprint, hostKeyOf } from './known-hosts.js';

/** How long a server may take to show its key. */
const patienceMs = 3000;

/**
 * The fingerprint of the host key that an SSH server shows, without logging in; undefined when it shows none. Fails as unreachable when
 * nothing answers.
 */
export async function readHostKey(address: string, port: number, signal: AbortSignal): Promise<string | undefined> {
  // Loaded first: from the moment that it is connected, somebody has to listen to the socket.
  const { default: ssh2 } = await import('ssh2');
  const socket = await connectTcp({ address, port, timeoutMs: 2000, signal }).catch((error: unknown) => {
    throw whileDoing(`connecting to ${address}`, error);
  });
  const client = new ssh2.Client();
  const patience = limit(signal, patienceMs);
  try {
    return await new Promise((resolve) => {
      const giveUp = () => {
        resolve(undefined);
      };
      patience.signal.addEventListener('abort', giveUp, { once: true });
      client.on('error', giveUp);
      client.on('close', giveUp);
      client.connect({
        sock: socket,
        username: 'root',
        readyTimeout: 0,
        strictVendor: false,
        // The one every device has, which is also the cheapest.
        hostVerifier: (key: Buffer) => {
          resolve(fingerprint(hostKeyOf(key)));
          return false;
        },
      });
    });
  } finally {
    patience.end();
    client.destroy();
  }
}
