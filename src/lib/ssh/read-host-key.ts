import { connectTcp } from '../platform/tcp.js';
import { whileDoing } from '../failure/while-doing.js';
import { fingerprint, hostKeyOf } from './known-hosts.js';

/**
 * The fingerprint of the host key that an SSH server shows, without logging in; undefined when it shows none. Fails as unreachable when
 * nothing answers.
 */
export async function readHostKey(address: string, port: number, signal: AbortSignal): Promise<string | undefined> {
  const socket = await connectTcp({ address, port, timeoutMs: 2000, signal }).catch((error: unknown) => {
    throw whileDoing(`connecting to ${address}`, error);
  });
  const { default: ssh2 } = await import('ssh2');
  const client = new ssh2.Client();
  const end = () => client.destroy();
  signal.addEventListener('abort', end, { once: true });
  try {
    return await new Promise((resolve) => {
      const giveUp = () => {
        resolve(undefined);
      };
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
    signal.removeEventListener('abort', end);
    client.destroy();
  }
}
