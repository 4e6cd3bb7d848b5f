import { limit } from '../platform/limit.js';
import { waitAtMost } from '../platform/wait.js';
import { DeviceRecords } from './device-records.js';
import { openMulticast } from './multicast.js';
import { networkLinks } from './network-links.js';

/** Pauses between questions (RFC 6762 5.2: a second at first, then at least doubled). */
const pausesMs = [1000, 2000, 4000];

/** How long an IPv6 answer waits for an IPv4 one, which is preferred. */
const preferenceMs = 250;

/** How long the answer from one network waits for one from another: somebody there may have the same name. */
const othersMs = 120;

/**
 * The addresses that a `.local` name has on the links of this computer, best first; none when nobody answers before the signal is aborted.
 * They are in one list or, when they may be those of several devices in different networks, in one for each.
 */
export async function multicastAddresses(host: string, signal: AbortSignal): Promise<string[][]> {
  const records = new DeviceRecords();
  const links = networkLinks();
  const search = limit(
    signal,
    pausesMs.reduce((sum, pause) => sum + pause, 0),
  );
  const hasOtherNetworks = new Set(links.map((link) => link.interface)).size > 1;
  const timers: NodeJS.Timeout[] = [];
  const multicast = await openMulticast(links, (answers, interfaceName) => {
    records.add(answers, interfaceName);
    const [best] = records.addressesOf(host);
    if (best === undefined) return;
    if (best.includes(':')) timers.push(setTimeout(search.end, preferenceMs));
    else if (hasOtherNetworks) timers.push(setTimeout(search.end, othersMs));
    else search.end();
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
    return records.placesOf(host).map(({ addresses }) => addresses);
  } finally {
    for (const timer of timers) clearTimeout(timer);
    search.end();
    multicast.close();
  }
}
