import { isDeepStrictEqual } from 'node:util';
import { limit } from '../platform/limit.js';
import { waitAtMost } from '../platform/wait.js';
import type { PartialFacts } from './device-facts.js';
import type { AnnouncedDevice } from './device-records.js';
import { type DeviceChange, type FoundDevice, foundDevice, sightingOf } from './found-device.js';
import type { KnownDevice } from './known-device.js';
import { interfaceOf } from './network-links.js';
import { recognise, type Sighting } from './note-sighting.js';
import { isSamePlace, newPresence, type Presence, toldTogether } from './presence.js';
import { probeDevice, type ProbedFacts } from './probe-device.js';

/** Where more can be learned of a device than it tells everybody. Both may fail, which only leaves their part out. */
export interface DeviceSources {
  /** Reads the fingerprint of its SSH host key, which tells devices of the same name apart. */
  readonly hostKey?: (address: string, port: number, signal: AbortSignal) => Promise<string | undefined>;
  /** Asks a device that davit has logged in to before. */
  readonly login?: (device: LoginDevice, signal: AbortSignal) => Promise<PartialFacts>;
}

/** A device to log in to for its facts. */
export interface LoginDevice {
  readonly name: string;
  readonly uuid: string | undefined;
  readonly address: string;
  readonly sshPort: number;
}

/** What the sightings are made with. */
export interface SightingsOptions {
  readonly signal: AbortSignal;
  readonly known: readonly KnownDevice[];
  readonly sources: DeviceSources;
  /** How long a device is held back for the sake of facts that are slow to come. */
  readonly heldBackMs: number;
  readonly onChange: (change: DeviceChange) => void;
}

/** How long a device that was met gets to say its name. */
const nameMs = 350;

const sourceMs = 3000;

/** The devices that have been heard or met, what is known of each, and what was told of them. */
export class Sightings {
  /** Called with the name of a host that has gone without saying so. */
  onGone: (hostname: string) => void = () => undefined;

  readonly #options: SightingsOptions;
  /** By host name in lower case, or by address where there is none. */
  readonly #presences = new Map<string, readonly Presence[]>();
  readonly #told = new Map<string, Map<number, FoundDevice>>();
  readonly #work = new Set<Promise<void>>();
  readonly #new = new Map<number, Sighting>();
  #made = 0;

  constructor(options: SightingsOptions) {
    this.#options = options;
  }

  /** Takes what a host name stands for now. */
  hear(hostname: string, devices: readonly AnnouncedDevice[]): void {
    const before = this.#presences.get(hostname) ?? [];
    const fresh: Presence[] = [];
    const now = devices.map((device) => {
      const same = before.find((one) => isSamePlace(one.device, device));
      if (same === undefined) {
        const presence = newPresence(this.#made++, device);
        fresh.push(presence);
        return presence;
      }
      same.device = device;
      return same;
    });
    this.#presences.set(hostname, now);
    // Those that were met without a name before they said it.
    for (const address of devices.flatMap((one) => one.addresses)) this.#drop(address);
    this.#tell(hostname);
    for (const presence of fresh) this.#start(() => this.#learn(hostname, presence));
  }

  /** Takes note that a host has been heard again. */
  heard(hostname: string): void {
    for (const presence of this.#presences.get(hostname) ?? []) presence.heardAt = performance.now();
  }

  /** Takes an address at which something answers on the port of devices. */
  meet(address: string, sshPort: number): void {
    this.#start(async () => {
      await waitAtMost(nameMs, this.#options.signal);
      const all = [...this.#presences.values()].flat();
      if (all.some((one) => one.device.addresses.includes(address))) return;
      const interfaceName = interfaceOf(address);
      const interfaces = interfaceName === undefined ? [] : [interfaceName];
      const presence = newPresence(this.#made++, { hostname: null, sshPort, addresses: [address], interfaces });
      this.#presences.set(address, [presence]);
      await this.#learn(address, presence);
    });
  }

  /** Asks all for their facts again; those not heard since and without an open port are gone. */
  async refresh(since: number): Promise<void> {
    const all = [...this.#presences].flatMap(([key, list]) => list.map((presence) => ({ key, presence })));
    await Promise.all(
      all.map(async ({ key, presence }) => {
        if (!presence.isTellable) return;
        const facts = await this.#probe(presence);
        if (facts.openPorts.length === 0 && presence.heardAt < since) {
          this.#presences.set(
            key,
            (this.#presences.get(key) ?? []).filter((one) => one !== presence),
          );
          this.onGone(key);
        }
        presence.facts = facts;
        this.#tell(key);
      }),
    );
  }

  /** Waits for all facts that are on their way and gives the devices, sorted by name. */
  async finish(): Promise<FoundDevice[]> {
    while (this.#work.size > 0) await Promise.all(this.#work);
    const nameOf = ({ hostname, addresses }: FoundDevice) => hostname ?? `~${addresses[0]}`;
    return [...this.#told.values()]
      .flatMap((devices) => [...devices.values()])
      .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  }

  /** What was seen since this was asked the last time. */
  takeNew(): readonly Sighting[] {
    const sightings = [...this.#new.values()];
    this.#new.clear();
    return sightings;
  }

  #start(work: () => Promise<void>): void {
    const running = work().finally(() => this.#work.delete(running));
    this.#work.add(running);
  }

  /** Learns a device's facts and tells of it: when all is known, or what is there when some of it is slow. */
  async #learn(key: string, presence: Presence): Promise<void> {
    const { signal, heldBackMs } = this.#options;
    const patience = limit(signal, heldBackMs);
    const tellAll = async (work: Promise<void>) => {
      await work;
      this.#tell(key);
    };
    const facts = tellAll(
      this.#probe(presence).then((probed) => {
        presence.facts = probed;
      }),
    );
    // By then all its addresses have come.
    const login = tellAll(facts.then(() => this.#askByLogin(presence)));
    const identities = this.#identify(key);
    void Promise.all([login, facts]).then(patience.end);
    await Promise.all([identities, waitAtMost(heldBackMs, patience.signal)]);
    patience.end();
    presence.isTellable = !signal.aborted;
    this.#tell(key);
    await Promise.all([login, facts]);
  }

  #probe({ device: { addresses, sshPort } }: Presence): Promise<ProbedFacts> {
    return probeDevice({ address: addresses[0] ?? '', sshPort }, this.#options.signal);
  }

  async #askByLogin(presence: Presence): Promise<void> {
    const { signal, known, sources } = this.#options;
    const { hostname, addresses, sshPort } = presence.device;
    // Who is there proves to be the device, or is not asked anything.
    const device =
      recognise(known, { hostname: hostname ?? undefined, addresses }) ??
      known.find((one) => one.addresses.some((address) => addresses.includes(address)));
    // Only to those that it knows by their key does davit offer its own.
    if (sources.login === undefined || device === undefined || device.hostKey === null) return;
    const name = device.hostname ?? hostname ?? addresses[0] ?? '';
    const patience = limit(signal, sourceMs);
    const target = { name, uuid: device.uuid ?? undefined, address: addresses[0] ?? '', sshPort };
    presence.login = await sources.login(target, patience.signal);
    patience.end();
  }

  /** Reads the host keys of all that have one name in several places. */
  async #identify(key: string): Promise<void> {
    const { signal, sources } = this.#options;
    const all = this.#presences.get(key) ?? [];
    if (all.length < 2 || sources.hostKey === undefined) return;
    const patience = limit(signal, sourceMs);
    await Promise.all(
      all.map(async (presence) => {
        const { addresses, sshPort } = presence.device;
        presence.hostKey ??= sources.hostKey?.(addresses[0] ?? '', sshPort, patience.signal);
        presence.hostKeyRead = await presence.hostKey;
      }),
    );
    patience.end();
  }

  #drop(address: string): void {
    if (!this.#presences.delete(address)) return;
    this.#tell(address);
  }

  /** Tells what has changed about the devices of a name since it was told of them. */
  #tell(key: string): void {
    const before = this.#told.get(key) ?? new Map<number, FoundDevice>();
    const now = new Map<number, FoundDevice>();
    for (const sights of toldTogether(this.#presences.get(key) ?? [])) {
      const [{ number }] = sights;
      const seen = sights.map((one) => one.seen);
      const [first, ...others] = seen;
      if (first === undefined) continue;
      const device = foundDevice([first, ...others], this.#options.known);
      now.set(number, device);
      const told = before.get(number);
      if (told !== undefined && isDeepStrictEqual(told, device)) continue;
      this.#new.set(number, sightingOf([first, ...others]));
      this.#options.onChange({ type: told === undefined ? 'found' : 'changed', id: number, device });
    }
    for (const [number, device] of before)
      if (!now.has(number)) this.#options.onChange({ type: 'lost', id: number, device });
    if (now.size > 0) this.#told.set(key, now);
    else this.#told.delete(key);
  }
}
