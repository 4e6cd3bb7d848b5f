import { limit } from '../platform/limit.js';
import { systemAddresses } from '../platform/system-addresses.js';
import { isUuid } from '../platform/uuid.js';
import { waitAtMost } from '../platform/wait.js';
import { looksLikeNumber } from './device-target.js';
import { bareHostname, type KnownDevice, shortUuidOf } from './known-device.js';
import { multicastAddresses } from './multicast-addresses.js';

const limitMs = 4500;

/** Multicast DNS usually answers within a tenth of this. */
const headStartMs = 700;

/**
 * The addresses of a name, best first; none when nobody answers for it, and several lists when they may be those of several devices. Asks multicast DNS first and gives the system's resolver, which may
 * know the name from a hosts file or a DNS server, a later start. Names with dots other than `.local` are none of multicast DNS's business.
 */
export async function lookUpName(name: string, signal: AbortSignal): Promise<string[][]> {
  if (signal.aborted) return [];
  const isLocal = name.toLowerCase().endsWith('.local');
  const isMulticast = isLocal || (!name.includes('.') && name !== 'localhost');
  const search = limit(signal, limitMs);
  const untilFirst = async (answer: Promise<string[][]>) => {
    const addresses = await answer;
    if (addresses.length > 0) search.end();
    return addresses;
  };
  try {
    const found = await Promise.all([
      isMulticast ? untilFirst(multicastAddresses(isLocal ? name : `${name}.local`, search.signal)) : [],
      looksLikeNumber(name)
        ? []
        : untilFirst(
            waitAtMost(isMulticast ? headStartMs : 0, search.signal)
              .then(() => systemAddresses(name, search.signal))
              .then((addresses) => (addresses.length > 0 ? [addresses] : [])),
          ),
    ]);
    return found.find((addresses) => addresses.length > 0) ?? [];
  } finally {
    search.end();
  }
}

/** The name under which the network is asked for a device. A UUID is none, but the short one is the host name of most devices. */
export function networkName(name: string, known: KnownDevice | undefined): string {
  if (known === undefined) return givenUuid(name)?.slice(0, 7) ?? name.replace(/\.$/, '');
  if (known.hostname === bareHostname(name)) return name.replace(/\.$/, '');
  return known.hostname ?? shortUuidOf(known) ?? name;
}

/** The UUID that a name is, if it is a whole one. */
export function givenUuid(name: string): string | undefined {
  return isUuid(name.toLowerCase()) ? name.toLowerCase() : undefined;
}
