import { limit } from '../platform/limit.js';
import { waitAtMost } from '../platform/wait.js';
import { deviceService, sshService } from './device-records.js';
import { isHostName } from './host-name.js';
import { type MulticastQuestion, openMulticast } from './multicast.js';
import { networkLinks } from './network-links.js';

/** A responder answers a question of its own at once; on slow Wi-Fi the first one may get lost. */
const pausesMs = [350, 350];

/**
 * What the computer at an address calls itself, as it tells by multicast DNS when it alone is asked; undefined when it says nothing.
 * Anybody may say anything: an answer can show that a device is not there, and never that it is.
 */
export async function hostNameAt(address: string, signal: AbortSignal): Promise<string | undefined> {
  const [bare = ''] = address.split('%');
  const reverse = reverseName(bare);
  const services = [deviceService, sshService].map((name): MulticastQuestion => ({ name, type: 'PTR' }));
  const questions = [...(reverse === undefined ? [] : [{ name: reverse, type: 'PTR' as const }]), ...services];
  let found: string | undefined;
  const search = limit(signal, 2 ** 31 - 1);
  const multicast = await openMulticast(networkLinks(), (records) => {
    for (const record of records) {
      const isReverse = record.type === 'PTR' && record.name.toLowerCase() === reverse;
      const isForward = (record.type === 'A' || record.type === 'AAAA') && record.data === bare;
      const name = isReverse ? record.data : isForward ? record.name : '';
      if (isHostName(name)) found ??= name;
    }
    if (found !== undefined) search.end();
  });
  try {
    for (const pauseMs of pausesMs) {
      if (search.signal.aborted) break;
      multicast.askAt(address, questions);
      await waitAtMost(pauseMs, search.signal);
    }
    return found;
  } finally {
    search.end();
    multicast.close();
  }
}

/** Under which name DNS has the host name of an IPv4 address (RFC 1035 3.5). */
function reverseName(address: string): string | undefined {
  return address.includes(':') ? undefined : `${address.split('.').reverse().join('.')}.in-addr.arpa`;
}
