import { isIP } from 'node:net';
import { Failure } from '../failure/failure.js';
import { isHostName } from './host-name.js';
import { isLinkLocalIpv6, isZone, networkLinks } from './network-links.js';

/** What a user typed that means one device, taken apart. */
export interface DeviceTarget {
  /** Host name, UUID, alias or address, without user and port. */
  readonly name: string;
  /** The same when it is an IP address, with `%zone` when it is link-local. */
  readonly address: string | undefined;
  readonly user: string | undefined;
  /** Port of SSH. */
  readonly port: number | undefined;
}

/**
 * Takes a device's name apart: `name`, `name.local`, an IPv4 or IPv6 address (with or without brackets, link-local with `%zone`), each with
 * `user@` before it and `:port` behind it, or all that as `ssh://user@host:port`. Fails when it is none of these.
 */
export function parseDeviceTarget(text: string): DeviceTarget {
  const isUrl = /^ssh:\/\//i.test(text);
  const whole = isUrl ? text.slice('ssh://'.length).replace(/\/$/, '') : text;
  const parts = isIP(whole) === 6 ? { host: whole } : partsOf(whole);
  if (parts === undefined) throw invalidName(text);
  const { host = '', user, port } = parts;
  // In a URL the percent sign of a zone is written so (RFC 6874).
  const name = isUrl ? host.replace('%25', '%') : host;
  const isAddress = isIP(name) !== 0;
  if (!isAddress && (!isHostName(name) || (name.includes('.') && looksLikeNumber(name)))) throw invalidName(text);
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) {
    throw new Failure('usage', 'invalid-device-name', `${port} in "${text}" cannot be a port`, {
      hint: 'Ports go from 1 to 65535',
    });
  }
  return {
    name,
    address: isAddress ? checkZone(name) : undefined,
    user,
    port: port === undefined ? undefined : Number(port),
  };
}

/** The parts of `user@host:port`, with brackets round an IPv6 address that a port follows. */
function partsOf(text: string): { host?: string; user?: string; port?: string } | undefined {
  const pattern =
    /^(?:(?<user>[\p{L}\p{N}_][\p{L}\p{N}_.+-]*)@)?(?:\[(?<bracketed>[^\]]+)\]|(?<bare>[^:@[\]]+))(?::(?<port>\d{1,5}))?$/u;
  const { user, bracketed, bare, port } = pattern.exec(text)?.groups ?? {};
  const host = bracketed ?? bare;
  if (host === undefined || (bracketed !== undefined && isIP(bracketed.replace('%25', '%')) !== 6)) return undefined;
  return { host, ...(user === undefined ? {} : { user }), ...(port === undefined ? {} : { port }) };
}

function invalidName(text: string): Failure {
  return new Failure('usage', 'invalid-device-name', `"${text}" is neither an address nor a name of a device`, {
    hint: 'Pass a name (63ec46c, 63ec46c.local), a UUID, an address (192.168.1.20, fe80::1%eth0, [fe80::1%eth0]:22) or ssh://user@host:port',
  });
}

/**
 * Whether the system's resolver would take a name for an address in an old notation: `1234567`, which a short UUID may be,
 * for 0.18.214.135, and `192.168.1` for 192.168.0.1 (inet_aton(3)).
 */
export function looksLikeNumber(name: string): boolean {
  return /(?:^|\.)(?:\d+|0x[\da-f]*)$/i.test(name);
}

/** A link-local address means nothing without the interface it is on. */
function checkZone(address: string): string {
  if (!isLinkLocalIpv6(address)) return address;
  const [, zone] = address.split('%');
  if (zone === undefined) {
    const [link] = networkLinks();
    const message = `${address} is a link-local address, which needs its network interface`;
    throw new Failure('usage', 'zone-missing', message, {
      hint: `Add the interface the device is on: ${address}%${link?.zone ?? 'eth0'}`,
    });
  }
  if (isZone(zone)) return address;
  const up = [...new Set(networkLinks().map((link) => link.zone))];
  throw new Failure('not-found', 'interface-not-found', `no network interface ${zone} is up, which ${address} names`, {
    hint: `Interfaces that are: ${up.join(', ') || 'none'}`,
  });
}
