import { isHostName } from './host-name.js';
import type { MulticastQuestion, MulticastRecord } from './multicast.js';
import { compareAddresses, isDeviceAddress, isLinkLocalIpv6 } from './network-links.js';

/** How balenaOS announces itself: a subtype of SSH, so that ordinary computers with SSH stay out of it. */
export const deviceService = '_resin-device._sub._ssh._tcp.local';

/** The service itself; who offers it on the port of devices is one whose responder keeps subtypes to itself. */
export const sshService = '_ssh._tcp.local';

const devicePort = 22222;

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

/** More than any network has; whoever announces more does so to fill memory. */
const mostNames = 4000;
const mostAddresses = 16;

/** How many incomplete announcements are asked about at once; the others have their turn at the next question. */
const mostQuestions = 200;

interface Instance {
  /** As it was announced. */
  readonly name: string;
  /** Whether it was announced as a device; otherwise its port has to tell. */
  readonly isDevice: boolean;
}

/**
 * Puts devices together from records that arrive in any order and any number of packets: Avahi may send the PTR record, the
 * SRV record and the addresses separately, or leave some out until asked. Nothing that comes is believed to be well-formed or well-meant.
 */
export class DeviceRecords {
  /** By name in lower case, as everything here is. */
  readonly #instances = new Map<string, Instance>();
  readonly #services = new Map<string, { readonly host: string; readonly port: number }>();
  /** Host name to the instances it offers. */
  readonly #offers = new Map<string, Set<string>>();
  /** Host name to address to the interfaces it was heard on. */
  readonly #hosts = new Map<string, Map<string, Set<string>>>();

  /** Takes the records of one packet and gives the names of the hosts about which it said something. */
  add(records: readonly MulticastRecord[], interfaceName: string | undefined): string[] {
    const touched = new Set<string>();
    for (const record of records) {
      const host = this.#add(record, interfaceName);
      if (host !== undefined) touched.add(host);
    }
    return [...touched];
  }

  /** The devices of which at least one address is known. */
  devices(): AnnouncedDevice[] {
    return [...this.#offers.keys()].flatMap((host) => this.devicesOf(host));
  }

  /**
   * The devices of a host name. They are one or, where it is heard on several links that have none of its addresses in common, one for each:
   * on one link no two have the same name, on different ones they may.
   */
  devicesOf(hostname: string): AnnouncedDevice[] {
    const key = hostname.toLowerCase();
    const service = [...(this.#offers.get(key) ?? [])]
      .filter((instance) => this.#isDevice(instance))
      .map((instance) => this.#services.get(instance))
      .find((one) => one !== undefined);
    if (service === undefined) return [];
    return this.placesOf(key).map((place) => ({ hostname: service.host, sshPort: service.port, ...place }));
  }

  /** The addresses of a host, best first, put together where they have an interface in common. */
  placesOf(host: string): { readonly addresses: string[]; readonly interfaces: string[] }[] {
    const groups = groupsOf(this.#hosts.get(host.toLowerCase()) ?? new Map<string, Set<string>>());
    return groups.map(({ addresses, interfaces }) => ({
      addresses: addresses.sort(compareAddresses),
      interfaces: interfaces.sort(),
    }));
  }

  /** The addresses of a host, best first. */
  addressesOf(host: string): string[] {
    return [...(this.#hosts.get(host.toLowerCase())?.keys() ?? [])].sort(compareAddresses);
  }

  /** What must be asked to complete the devices heard of. */
  missing(): MulticastQuestion[] {
    const questions: MulticastQuestion[] = [];
    for (const [key, { name }] of this.#instances) {
      if (questions.length >= mostQuestions) break;
      const service = this.#services.get(key);
      if (service === undefined) questions.push({ name, type: 'SRV' });
      else if (this.#isDevice(key)) questions.push(...this.#missingAddresses(service.host));
    }
    return questions;
  }

  /** Forgets everything about a host, which has gone without saying so. */
  forget(hostname: string): void {
    const key = hostname.toLowerCase();
    this.#hosts.delete(key);
    for (const instance of this.#offers.get(key) ?? []) {
      this.#instances.delete(instance);
      this.#services.delete(instance);
    }
    this.#offers.delete(key);
  }

  #missingAddresses(name: string): MulticastQuestion[] {
    const addresses = this.addressesOf(name);
    if (addresses.some((address) => !address.includes(':'))) return [];
    return addresses.length > 0
      ? [{ name, type: 'A' }]
      : [
          { name, type: 'A' },
          { name, type: 'AAAA' },
        ];
  }

  #isDevice(instance: string): boolean {
    const announced = this.#instances.get(instance);
    return (
      announced?.isDevice === true || (announced !== undefined && this.#services.get(instance)?.port === devicePort)
    );
  }

  /** Gives the host that a record is about, if that is known. */
  #add(record: MulticastRecord, interfaceName: string | undefined): string | undefined {
    const name = record.name.toLowerCase();
    // A time to live of zero takes a record back (RFC 6762 10.1).
    const isGone = 'ttl' in record && record.ttl === 0;
    if (record.type === 'PTR' && (name === deviceService || name === sshService)) {
      return this.#addInstance(record.data, name === deviceService, isGone);
    }
    if (record.type === 'SRV') return isGone ? undefined : this.#addService(name, record.data.target, record.data.port);
    if (record.type === 'A' || record.type === 'AAAA') this.#addAddress(name, record.data, isGone, interfaceName);
    return name;
  }

  #addInstance(name: string, isDevice: boolean, isGone: boolean): string | undefined {
    const key = name.toLowerCase();
    const host = this.#services.get(key)?.host.toLowerCase();
    if (isGone) this.#instances.delete(key);
    else if (isInstanceName(name) && (this.#instances.size < mostNames || this.#instances.has(key))) {
      this.#instances.set(key, { name, isDevice: isDevice || this.#instances.get(key)?.isDevice === true });
    }
    return host;
  }

  #addService(instance: string, target: string, port: number): string | undefined {
    const isFull = this.#services.size >= mostNames && !this.#services.has(instance);
    if (isFull || !isHostName(target) || port === 0 || !instance.endsWith(`.${sshService}`)) return undefined;
    const host = target.toLowerCase();
    const before = this.#services.get(instance)?.host.toLowerCase();
    if (before !== undefined && before !== host) this.#offers.get(before)?.delete(instance);
    this.#services.set(instance, { host: target, port });
    this.#offers.set(host, (this.#offers.get(host) ?? new Set()).add(instance));
    return host;
  }

  #addAddress(host: string, address: string, isGone: boolean, interfaceName: string | undefined): void {
    const isLinkLocal = isLinkLocalIpv6(address);
    if ((isLinkLocal && interfaceName === undefined) || !isDeviceAddress(address) || !isHostName(host)) return;
    const reachable = isLinkLocal ? `${address}%${interfaceName}` : address;
    const addresses = this.#hosts.get(host) ?? new Map<string, Set<string>>();
    if (isGone) {
      addresses.delete(reachable);
      return;
    }
    if (!this.#hosts.has(host) && this.#hosts.size >= mostNames) return;
    if (!addresses.has(reachable) && addresses.size >= mostAddresses) return;
    this.#hosts.set(host, addresses);
    const interfaces = addresses.get(reachable) ?? new Set<string>();
    addresses.set(reachable, interfaces);
    if (interfaceName !== undefined) interfaces.add(interfaceName);
  }
}

/** Puts addresses together that have an interface in common. */
function groupsOf(
  addresses: ReadonlyMap<string, ReadonlySet<string>>,
): { addresses: string[]; interfaces: string[] }[] {
  let groups: { addresses: string[]; interfaces: string[] }[] = [];
  for (const [address, interfaces] of addresses) {
    const isTogether = (group: { interfaces: string[] }) =>
      interfaces.size === 0 || group.interfaces.length === 0 || group.interfaces.some((one) => interfaces.has(one));
    const together = groups.filter(isTogether);
    groups = [
      ...groups.filter((group) => !together.includes(group)),
      {
        addresses: [...together.flatMap((group) => group.addresses), address],
        interfaces: [...new Set([...together.flatMap((group) => group.interfaces), ...interfaces])],
      },
    ];
  }
  return groups;
}

/** Whether a text can be asked for in a question; what stands before the service is free text (RFC 6763 4.1.1). */
function isInstanceName(text: string): boolean {
  return text.length < 254 && text.split('.').every((label) => label !== '' && Buffer.byteLength(label) < 64);
}
