import { BlockList } from 'node:net';
import { networkInterfaces } from 'node:os';

/** One IP version on one network interface of this computer: where multicast questions are asked. */
export interface NetworkLink {
  readonly interface: string;
  readonly version: 4 | 6;
  /** What selects the interface for multicast: its IPv4 address, or `::%zone`. */
  readonly selector: string;
  /** What follows `%` in link-local addresses on this interface. */
  readonly zone: string;
}

/** Every link but the loopback, or those of the named interfaces. */
export function networkLinks(interfaces?: readonly string[]): NetworkLink[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) => {
    const usable = addresses.filter((one) => !one.internal);
    if (interfaces !== undefined && !interfaces.includes(name)) return [];
    const four = usable.find((one) => one.family === 'IPv4');
    const six = usable.find((one) => one.family === 'IPv6');
    // Windows knows zones by number only.
    const zone = process.platform === 'win32' ? String(six?.scopeid ?? 0) : name;
    return [
      ...(four ? [{ interface: name, version: 4 as const, selector: four.address, zone }] : []),
      ...(six ? [{ interface: name, version: 6 as const, selector: `::%${zone}`, zone }] : []),
    ];
  });
}

/** The interface whose network an address belongs to: by its zone when it has one, else by the networks of this computer. */
export function interfaceOf(address: string): string | undefined {
  const [bare = '', zone] = address.split('%');
  if (zone !== undefined) return zone;
  const version = bare.includes(':') ? 'ipv6' : 'ipv4';
  return Object.entries(networkInterfaces()).find(([, list = []]) =>
    list.some((one) => {
      if (one.internal || one.cidr === null || one.family.toLowerCase() !== version) return false;
      const network = new BlockList();
      network.addSubnet(one.address, Number(one.cidr.split('/')[1]), version);
      return network.check(bare, version);
    }),
  )?.[0];
}

/** Whether what follows `%` in an address is an interface that this computer has and that is up. */
export function isZone(zone: string): boolean {
  return Object.entries(networkInterfaces()).some(([name, addresses = []]) =>
    process.platform === 'win32' ? addresses.some((one) => String(one.scopeid) === zone) : name === zone,
  );
}

/** Link-local addresses mean something only together with an interface (RFC 4007). */
export function isLinkLocalIpv6(address: string): boolean {
  return /^fe[89ab][0-9a-f]:/i.test(address);
}

/** Order of preference: IPv4, then IPv6; those that work beyond the link first. */
export function compareAddresses(a: string, b: string): number {
  return rank(a) - rank(b) || (a < b ? -1 : a > b ? 1 : 0);
}

function rank(address: string): number {
  if (!address.includes(':')) return address.startsWith('169.254.') ? 1 : 0;
  return isLinkLocalIpv6(address) ? 3 : 2;
}
