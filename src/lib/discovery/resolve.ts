import { Failure, interrupted } from '../failure/failure.js';
import { limit } from '../platform/limit.js';
import type { ProgressListener } from '../platform/progress.js';
import { isUuid } from '../platform/uuid.js';
import { waitAtMost } from '../platform/wait.js';
import { type DeviceRoute, type FindRoute, RouteSearch } from './device-route.js';
import { type DeviceTarget, parseDeviceTarget } from './device-target.js';
import { ambiguousDevice, isOnlyBeginning, matchingDevices } from './find-known-device.js';
import { Inventory } from './inventory.js';
import { bareHostname, type KnownDevice, nameOf, shortUuidOf } from './known-device.js';
import { lookUpName } from './look-up-name.js';
import { isLoopback } from './network-links.js';
import { multicastAddresses } from './multicast-addresses.js';
import { answeringAddress } from './reachable-address.js';
import { tellPlaces } from './tell-places.js';

/** A device's name and where it is. */
export interface ResolvedDevice {
  /** What the device is called: the host name of a known device, else what the user wrote, without user and port. */
  readonly name: string;
  /** Its host name without `.local`, where that is known or was asked for in this network. */
  readonly hostname: string | undefined;
  /** The UUID that it must have, where the user gave a whole one or davit knows it. */
  readonly uuid: string | undefined;
  /** What its engine calls itself, where davit knows it. */
  readonly engineId: string | undefined;
  /** Its addresses, best first: IPv4 before IPv6, link-local ones with `%zone`. */
  readonly addresses: readonly [string, ...string[]];
  /** What `user@` and `:port` said. */
  readonly user: string | undefined;
  readonly sshPort: number | undefined;
  /** The port at which a known device announced SSH. */
  readonly announcedSshPort: number | undefined;
  /**
   * Where the device is by its name, when the addresses are only those where it was last seen: somebody else may have them now, which shows
   * in the host key or UUID. Gives undefined when nothing answers by its name.
   */
  readonly lookAgain: (() => Promise<ResolvedDevice | undefined>) | undefined;
  /** The way to it when it is not in this network. Its address is then that of the route, which means nothing here. */
  readonly route: DeviceRoute | undefined;
}

/** How names are looked up. */
export interface ResolveOptions {
  readonly signal: AbortSignal;
  readonly progress: ProgressListener;
  /** A port that is knocked at to see whether an address is still in use; closed is as good as open. */
  readonly knockPort: number;
  readonly inventory?: Inventory;
  /** Reads the fingerprint of a host key, which tells devices of one name apart; it never fails. */
  readonly readHostKey?: ((address: string, port: number) => Promise<string | undefined>) | undefined;
  /** Finds the way that is taken to a device that is not in this network. When it fails, that is only told. */
  readonly findRoute?: FindRoute | undefined;
}

const limitMs = 5000;

/** How long a device that is called like the beginning of another one's UUID gets to say so. */
const namesakeMs = 400;

/** How long a device that is still where it was gets to answer before the network is asked for it. */
const rememberedHeadStartMs = 60;

/** Finds out where the device is that a user means; see `parseDeviceTarget` for what that can be, besides UUIDs and aliases. */
export async function resolveDevice(text: string, options: ResolveOptions): Promise<ResolvedDevice> {
  const { signal, progress, inventory = new Inventory(progress) } = options;
  const target = parseDeviceTarget(text);
  if (target.address !== undefined) return resolved(target, undefined, { addresses: [target.address] });
  const remembered = matchingDevices(await inventory.readIfPossible(), target.name);
  const isHostName = isOnlyBeginning(remembered, target.name) && (await isAnswered(target.name, signal));
  const candidates = isHostName ? [] : remembered;
  const [first, ...others] = candidates;
  if (others.length > 0 && candidates.some(({ hostname }) => hostname !== bareHostname(target.name))) {
    throw ambiguousDevice(target.name, candidates);
  }
  const known = others.length > 0 ? undefined : first;
  const readHostKey = (address: string) =>
    options.readHostKey?.(address, first?.sshPort ?? 22222) ?? Promise.resolve(undefined);
  const look = async (find: (signal: AbortSignal) => Promise<Found>): Promise<ResolvedDevice | undefined> => {
    const distant = { name: target.name, uuid: known?.uuid ?? givenUuid(target.name) };
    const elsewhere = new RouteSearch(options.findRoute, distant, { signal, progress });
    try {
      const { asked, last } = await find(elsewhere.nearSignal);
      const place = await tellPlaces({ name: target.name, places: asked, candidates, readHostKey });
      if (signal.aborted) throw interrupted();
      if (place !== undefined) return resolved(target, known ?? place.device, place);
      if (last !== undefined) {
        const text = `${target.name} does not answer by its name; trying ${last}, where it was last seen`;
        if (known !== undefined && !isProvable(known)) progress({ type: 'notice', level: 'warning', text });
        return { ...resolved(target, known, { addresses: [last] }), lookAgain: () => look(askByName) };
      }
      const route = await elsewhere.found();
      return route === undefined ? undefined : resolved(target, known, { addresses: [route.address], route });
    } finally {
      elsewhere.end();
    }
  };
  const askByName = async (until: AbortSignal) => ({
    asked: await lookUpName(networkName(target.name, known), until),
    last: undefined,
  });
  const found = await look(
    known === undefined ? askByName : (until) => race(target, known, { ...options, signal: until }),
  );
  if (found === undefined) throw notFound(target.name, first);
  return found;
}

/** Whether a device of this host name is in the network now. */
async function isAnswered(hostname: string, signal: AbortSignal): Promise<boolean> {
  const search = limit(signal, namesakeMs);
  try {
    return isSome(await multicastAddresses(`${hostname}.local`, search.signal));
  } finally {
    search.end();
  }
}

interface Found {
  /** The addresses of each place at which its name was answered for. */
  asked: readonly (readonly string[])[];
  /** The address at which it was last seen, if something answers there. */
  last: string | undefined;
}

/**
 * Looks for a known device at its name and where it was last seen at once. Where a host key or an engine proves who it is, the first answer
 * counts; without, the name does, and the last address is only used when nothing else answers.
 */
async function race(target: DeviceTarget, known: KnownDevice, { signal, knockPort }: ResolveOptions): Promise<Found> {
  const isSure = isProvable(known);
  const found: Found = { asked: [], last: undefined };
  const search = limit(signal, limitMs);
  await Promise.all([
    answeringAddress(known.addresses, isForwarded(known) ? known.sshPort : knockPort, search.signal).then((address) => {
      if (address === undefined) return;
      found.last = address;
      if (isSure) search.end();
    }),
    waitAtMost(isSure && isSome(known.addresses) ? rememberedHeadStartMs : 0, search.signal)
      .then(() => lookUpName(networkName(target.name, known), search.signal))
      .then((places) => {
        found.asked = places;
        if (isSome(places)) search.end();
      }),
  ]);
  search.end();
  return found;
}

/** Whether a device can show that it is the one that was met. */
function isProvable({ hostKey, engineId }: KnownDevice): boolean {
  return hostKey !== null || engineId !== null;
}

/** Whether a device was last seen behind a port of this computer, as a virtual one or through somebody's tunnel. */
function isForwarded({ addresses }: KnownDevice): boolean {
  return addresses.some(isLoopback);
}

/** The name under which the network is asked for a device. A UUID is none, but the short one is the host name of most devices. */
function networkName(name: string, known: KnownDevice | undefined): string {
  if (known === undefined) return givenUuid(name)?.slice(0, 7) ?? name.replace(/\.$/, '');
  if (known.hostname === bareHostname(name)) return name.replace(/\.$/, '');
  return known.hostname ?? shortUuidOf(known) ?? name;
}

function resolved(
  { name, address, user, port }: DeviceTarget,
  known: KnownDevice | undefined,
  { addresses, route }: Pick<ResolvedDevice, 'addresses'> & { readonly route?: DeviceRoute },
): ResolvedDevice {
  return {
    name: known?.hostname ?? name,
    hostname: known === undefined ? ownHostname(name, address) : (known.hostname ?? undefined),
    uuid: known?.uuid ?? route?.uuid ?? givenUuid(name),
    engineId: known?.engineId ?? undefined,
    addresses,
    user,
    sshPort: port,
    announcedSshPort: known?.sshPort,
    lookAgain: undefined,
    route,
  };
}

/** The UUID that a name is, if it is a whole one. */
function givenUuid(name: string): string | undefined {
  return isUuid(name.toLowerCase()) ? name.toLowerCase() : undefined;
}

/** The host name that a device has which was asked for by a name, unless that is one of the DNS, of this computer, or a UUID. */
function ownHostname(name: string, address: string | undefined): string | undefined {
  const bare = bareHostname(name);
  return address !== undefined || bare.includes('.') || bare === 'localhost' || isUuid(bare) ? undefined : bare;
}

function notFound(name: string, known: KnownDevice | undefined): Failure {
  if (known === undefined && isLikeUuid(name)) {
    const message = `davit knows no device whose UUID begins with ${name}, and none called so answers on this network`;
    return new Failure('not-found', 'device-not-found', message, {
      hint: `A device that davit has not met yet is found by its whole UUID or by its first seven digits, which it is called by: ${name.slice(0, 7).toLowerCase()}`,
    });
  }
  if (known === undefined) {
    return new Failure('not-found', 'device-not-found', `no device called ${name} answers on this network`, {
      hint: 'Run davit scan to see the devices that do; one that was just started needs a minute',
    });
  }
  const [last] = known.addresses;
  const port = isForwarded(known) ? ` port ${known.sshPort}` : '';
  const where =
    last === undefined ? 'and davit has never seen it' : `nor does anything at ${last}${port}, where it was last seen`;
  const called = nameOf(known) === name ? name : `${name} (${nameOf(known)})`;
  return new Failure('not-found', 'device-not-found', `${called} does not answer by its name, ${where}`, {
    hint: 'Check that it is on and in this network; davit scan lists the devices that are. One that was just started needs a minute',
  });
}

/** Whether a word looks like a part of a UUID that is longer than what devices are called by. */
function isLikeUuid(name: string): boolean {
  return /^[0-9a-f]{8,}$/i.test(name) && givenUuid(name) === undefined;
}

function isSome<T>(list: readonly T[]): list is readonly [T, ...T[]] {
  return list.length > 0;
}
