import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { Failure, interrupted } from '../failure/failure.js';
import { systemAddresses } from './system-addresses.js';

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

/**
 * Finds out where a device is. Takes an IPv4 or IPv6 address (with or without brackets, link-local with `%zone`),
 * `<name>.local`, or a bare name.
 */
export async function resolveDevice(target: string, options: ResolveOptions): Promise<ResolvedDevice> {
  const address = /^\[(.*)\]$/.exec(target)?.[1] ?? target;
  if (isIP(address) !== 0) return { name: address, addresses: [checkZone(address)] };
  if (!/^[\p{L}\p{N}_]([\p{L}\p{N}_.-]*[\p{L}\p{N}_])?\.?$/u.test(target) || target.length > 253) {
    throw new Failure('usage', 'bad-device-name', `"${target}" is neither an address nor a name of a device`, {
      hint: 'Pass an address (192.168.1.20, fe80::1%eth0), a name (63ec46c.local) or a host name (63ec46c)',
    });
  }
  const limit = AbortSignal.any([options.signal, AbortSignal.timeout(limitMs)]);
  const [first, ...rest] = await systemAddresses(target, limit);
  if (options.signal.aborted) throw interrupted();
  if (first !== undefined) return { name: target, addresses: [first, ...rest] };
  throw new Failure('not-found', 'device-not-found', `no device called ${target} answers on this network`, {
    hint: 'Run davit scan to see the devices that do; a device that was just started needs a minute',
  });
}

/** A link-local address means nothing without the interface it is on. */
function checkZone(address: string): string {
  if (!/^fe[89ab][0-9a-f]:/i.test(address) || address.includes('%')) return address;
  const example = Object.entries(networkInterfaces()).find(([, list]) => list?.some((one) => !one.internal))?.[0];
  throw new Failure('usage', 'zone-missing', `${address} is a link-local address, which needs its network interface`, {
    hint: `Add the interface the device is on: ${address}%${example ?? 'eth0'}`,
  });
}
