import { limit } from '../platform/limit.js';
import { waitAtMost } from '../platform/wait.js';
import { DeviceRecords } from './device-records.js';
import { openMulticast } from './multicast.js';
import { networkLinks } from './network-links.js';

/** Pauses between questions (RFC 6762 5.2: a second at first, then at least doubled). */
const pausesMs = [1000, 2000, 4000];

/** How long an IPv6 answer waits for an IPv4 one, which is preferred. */
const preferenceMs = 250;

/**
 * The addresses that a `.local` name has on the links of this computer, best first; none when nobody answers before the
 * signal is aborted.
 */
export async function multicastAddresses(host: string, signal: AbortSignal): Promise<string[]> {
  const records = new DeviceRecords();
  const search = limit(
    signal,
    pausesMs.reduce((sum, pause) => sum + pause, 0),
  );
  let preference: NodeJS.Timeout | undefined;
  const multicast = await openMulticast(networkLinks(), (answers, interfaceName) => {
    records.add(answers, interfaceName);
    const [best] = records.addressesOf(host);
    if (best === undefined) return;
    if (!best.includes(':')) search.end();
    preference ??= setTimeout(search.end, preferenceMs);
  });
  try {
    for (const pauseMs of pausesMs) {
      if (search.signal.aborted || multicast.links === 0) break;
      multicast.ask([
        { name: host, type: 'A' },
        { name: host, type: 'AAAA' },
      ]);
      await waitAtMost(pauseMs, search.signal);
    }
    return records.addressesOf(host);
  } finally {
    clearTimeout(preference);
    search.end();
    multicast.close();
  }
}
