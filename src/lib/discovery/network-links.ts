import { BlockList, isIPv4, isIPv6 } from 'node:net';
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

/** The networks of this computer's interfaces, which are read anew after a while: every packet asks for them. */
let networks:
  { readonly at: number; readonly list: readonly { readonly name: string; readonly network: BlockList }[] } | undefined;
const networksLastMs = 1000;

/** The interface whose network an address belongs to: by its zone when it has one, else by the networks of this computer. */
export function interfaceOf(address: string): string | undefined {
  const [bare = '', zone] = address.split('%');
  if (zone !== undefined) return zone;
  const now = performance.now();
  if (networks === undefined || now - networks.at > networksLastMs) networks = { at: now, list: readNetworks() };
  return networks.list.find(({ network }) => network.check(bare, bare.includes(':') ? 'ipv6' : 'ipv4'))?.name;
}

function readNetworks(): { readonly name: string; readonly network: BlockList }[] {
  return Object.entries(networkInterfaces()).map(([name, addresses = []]) => {
    const network = new BlockList();
    for (const { address, cidr, family, internal } of addresses) {
      if (!internal && cidr !== null) {
        network.addSubnet(address, Number(cidr.split('/')[1]), family === 'IPv6' ? 'ipv6' : 'ipv4');
      }
    }
    return { name, network };
  });
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

/** Whether an address, of either version, is one that a computer gives itself for a link. */
export function isLinkLocal(address: string): boolean {
  return isLinkLocalIpv6(address) || address.startsWith('169.254.');
}

/** Whether an address can be that of one other computer: neither this one, nor everybody, nor nobody. */
export function isDeviceAddress(address: string): boolean {
  if (isIPv4(address)) return !nobodys.check(address, 'ipv4');
  // One that stands for an IPv4 address is checked as that.
  return isIPv6(address) && !nobodys.check(address, 'ipv6');
}

/** Whether an address is of this computer itself, where devices are only behind forwarded ports. */
export function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

const nobodys = new BlockList();
nobodys.addSubnet('0.0.0.0', 8, 'ipv4');
nobodys.addSubnet('127.0.0.0', 8, 'ipv4');
nobodys.addSubnet('224.0.0.0', 3, 'ipv4');
nobodys.addSubnet('::', 127, 'ipv6');
nobodys.addSubnet('ff00::', 8, 'ipv6');

/** Order of preference: IPv4, then IPv6; those that work beyond the link first, and last those that work on none of this computer's links. */
export function compareAddresses(a: string, b: string): number {
  return rank(a) - rank(b) || (a < b ? -1 : a > b ? 1 : 0);
}

function rank(address: string): number {
  if (address.includes(':')) return isLinkLocalIpv6(address) ? 3 : 2;
  if (!isLinkLocal(address)) return 0;
  // A device on a cable without DHCP has one; whether this computer has taken one too depends on its settings.
  return interfaceOf(address) === undefined ? 4 : 1;
}
