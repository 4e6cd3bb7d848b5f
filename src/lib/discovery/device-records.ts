import { isHostName } from './host-name.js';
import type { MulticastQuestion, MulticastRecord } from './multicast.js';
import { compareAddresses, isLinkLocalIpv6 } from './network-links.js';

/** How balenaOS announces itself: a subtype of SSH, so that ordinary computers with SSH stay out of it. */
export const deviceService = '_resin-device._sub._ssh._tcp.local';

/** A device that has announced itself. */
export interface AnnouncedDevice {
  /** `63ec46c.local` */
  readonly hostname: string;
  readonly sshPort: number;
  /** Best first, at least one; link-local IPv6 addresses with `%zone`. */
  readonly addresses: readonly string[];
  /** Interfaces of this computer that lead to it. */
  readonly interfaces: readonly string[];
}

/**
 * Puts devices together from records that arrive in any order and any number of packets: Avahi may send the PTR record, the
 * SRV record and the addresses separately, or leave some out until asked.
 */
export class DeviceRecords {
  /** Names of announced instances, in lower case to find them and as they were announced. */
  readonly #instances = new Map<string, string>();
  readonly #services = new Map<string, { readonly host: string; readonly port: number }>();
  /** Host name to address to the interfaces it was heard on. */
  readonly #hosts = new Map<string, Map<string, Set<string>>>();

  add(records: readonly MulticastRecord[], interfaceName: string | undefined): void {
    for (const record of records) this.#add(record, interfaceName);
  }

  /** The devices of which at least one address is known. */
  devices(): AnnouncedDevice[] {
    const found = new Map<string, AnnouncedDevice>();
    for (const instance of this.#instances.keys()) {
      const service = this.#services.get(instance);
      if (service === undefined) continue;
      const key = service.host.toLowerCase();
      const addresses = this.addressesOf(key);
      if (addresses.length === 0) continue;
      const interfaces = [...(this.#hosts.get(key)?.values() ?? [])].flatMap((names) => [...names]);
      found.set(key, {
        hostname: service.host,
        sshPort: service.port,
        addresses,
        interfaces: [...new Set(interfaces)].sort(),
      });
    }
    return [...found.values()];
  }

  /** The addresses of a host, best first. */
  addressesOf(host: string): string[] {
    return [...(this.#hosts.get(host.toLowerCase())?.keys() ?? [])].sort(compareAddresses);
  }

  /** What must be asked to complete the devices heard of. */
  missing(): MulticastQuestion[] {
    return [...this.#instances].flatMap(([instance, name]): MulticastQuestion[] => {
      const service = this.#services.get(instance);
      if (service === undefined) return [{ name, type: 'SRV' }];
      const addresses = this.addressesOf(service.host);
      if (addresses.some((address) => !address.includes(':'))) return [];
      const four: MulticastQuestion = { name: service.host, type: 'A' };
      return addresses.length > 0 ? [four] : [four, { name: service.host, type: 'AAAA' }];
    });
  }

  #add(record: MulticastRecord, interfaceName: string | undefined): void {
    const name = record.name.toLowerCase();
    // A time to live of zero takes a record back (RFC 6762 10.1).
    const isGone = 'ttl' in record && record.ttl === 0;
    if (record.type === 'PTR' && name === deviceService && isInstanceName(record.data)) {
      if (isGone) this.#instances.delete(record.data.toLowerCase());
      else this.#instances.set(record.data.toLowerCase(), record.data);
    } else if (record.type === 'SRV' && !isGone && isHostName(record.data.target)) {
      this.#services.set(name, { host: record.data.target, port: record.data.port });
    } else if (record.type === 'A' || record.type === 'AAAA') {
      this.#addAddress(name, record.data, isGone, interfaceName);
    }
  }

  #addAddress(host: string, address: string, isGone: boolean, interfaceName: string | undefined): void {
    const isLinkLocal = isLinkLocalIpv6(address);
    if (isLinkLocal && interfaceName === undefined) return;
    const reachable = isLinkLocal ? `${address}%${interfaceName}` : address;
    const addresses = this.#hosts.get(host) ?? new Map<string, Set<string>>();
    this.#hosts.set(host, addresses);
    if (isGone) {
      addresses.delete(reachable);
      return;
    }
    const interfaces = addresses.get(reachable) ?? new Set<string>();
    addresses.set(reachable, interfaces);
    if (interfaceName !== undefined) interfaces.add(interfaceName);
  }
}

/** Whether a text can be asked for in a question; what stands before the service is free text (RFC 6763 4.1.1). */
function isInstanceName(text: string): boolean {
  return text.length < 254 && text.split('.').every((label) => label !== '' && Buffer.byteLength(label) < 64);
}
