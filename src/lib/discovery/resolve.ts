import { isIP } from 'node:net';
import { Failure, interrupted } from '../failure/failure.js';
import { limit } from '../platform/limit.js';
import { waitAtMost } from '../platform/wait.js';
import { isHostName } from './host-name.js';
import { multicastAddresses } from './multicast-addresses.js';
import { isLinkLocalIpv6, isZone, networkLinks } from './network-links.js';
import { systemAddresses } from '../platform/system-addresses.js';

/** A device's name and where it is. */
export interface ResolvedDevice {
  /** What the user called it. */
  readonly name: string;
  /** Its addresses, best first: IPv4 before IPv6, link-local ones with `%zone`. */
  readonly addresses: readonly [string, ...string[]];
}

/** How names are looked up. */
export interface ResolveOptions {
  readonly signal: AbortSignal;
}

const limitMs = 4500;

/** Multicast DNS usually answers within a tenth of this. */
const headStartMs = 700;

/**
 * Finds out where a device is. Takes an IPv4 or IPv6 address (with or without brackets, link-local with `%zone`),
 * `<name>.local`, or a bare name.
 */
export async function resolveDevice(target: string, options: ResolveOptions): Promise<ResolvedDevice> {
  const address = /^\[(.*)\]$/.exec(target)?.[1] ?? target;
  if (isIP(address) !== 0) return { name: address, addresses: [checkZone(address)] };
  if (!isHostName(target) || (target.includes('.') && looksLikeNumber(target))) {
    throw new Failure('usage', 'invalid-device-name', `"${target}" is neither an address nor a name of a device`, {
      hint: 'Pass an address (192.168.1.20, fe80::1%eth0), a name (63ec46c.local) or a host name (63ec46c)',
    });
  }
  const addresses = await lookUp(target.replace(/\.$/, ''), options.signal);
  if (options.signal.aborted) throw interrupted();
  const [first, ...rest] = addresses;
  if (first !== undefined) return { name: target, addresses: [first, ...rest] };
  throw new Failure('not-found', 'device-not-found', `no device called ${target} answers on this network`, {
    hint: 'Run davit scan to see the devices that do; one that was just started needs a minute',
  });
}

/**
 * Asks multicast DNS first and gives the system's resolver, which may know the name from a hosts file or a DNS server, a
 * later start. Names with dots other than `.local` are none of multicast DNS's business.
 */
async function lookUp(name: string, signal: AbortSignal): Promise<readonly string[]> {
  const isLocal = name.toLowerCase().endsWith('.local');
  const isMulticast = isLocal || (!name.includes('.') && name !== 'localhost');
  const search = limit(signal, limitMs);
  const untilFirst = async (answer: Promise<string[]>) => {
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
            waitAtMost(isMulticast ? headStartMs : 0, search.signal).then(() => systemAddresses(name, search.signal)),
          ),
    ]);
    return found.find((addresses) => addresses.length > 0) ?? [];
  } finally {
    search.end();
  }
}

/**
 * Whether the system's resolver would take a name for an address in an old notation: `1234567`, which a short UUID may be,
 * for 0.18.214.135, and `192.168.1` for 192.168.0.1 (inet_aton(3)).
 */
function looksLikeNumber(name: string): boolean {
  return /(?:^|\.)(?:\d+|0x[\da-f]*)$/i.test(name);
}

/** A link-local address means nothing without the interface it is on. */
function checkZone(address: string): string {
  if (!isLinkLocalIpv6(address)) return address;
  const [, zone] = address.split('%');
  if (zone === undefined) {
    const [link] = networkLinks();
    throw new Failure(
      'usage',
      'zone-missing',
      `${address} is a link-local address, which needs its network interface`,
      {
        hint: `Add the interface the device is on: ${address}%${link?.zone ?? 'eth0'}`,
      },
    );
  }
  if (isZone(zone)) return address;
  const up = [...new Set(networkLinks().map((link) => link.zone))];
  throw new Failure('not-found', 'interface-not-found', `no network interface ${zone} is up, which ${address} names`, {
    hint: `Interfaces that are: ${up.join(', ') || 'none'}`,
  });
}
