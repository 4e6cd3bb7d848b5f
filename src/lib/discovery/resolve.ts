import { interrupted } from '../failure/failure.js';
import { limit } from '../platform/limit.js';
import type { ProgressListener } from '../platform/progress.js';
import { deviceNotFound, requireNobodyElse } from './device-not-found.js';
import { type DeviceRoute, type FindRoute, RouteSearch } from './device-route.js';
import { type DeviceTarget, parseDeviceTarget } from './device-target.js';
import { findKnownAgain, type FoundPlaces, isProvable } from './find-again.js';
import { ambiguousDevice, isOnlyBeginning, matchingDevices } from './find-known-device.js';
import { Inventory } from './inventory.js';
import { bareHostname, type KnownDevice } from './known-device.js';
import { givenUuid, lookUpName, networkName } from './look-up-name.js';
import { multicastAddresses } from './multicast-addresses.js';
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
  /** Whether whoever is there is meant: the user wrote an address, or the very host name that is looked for. */
  readonly isWhoeverIsThere: boolean;
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
  /** Takes that way wherever the device is, and fails as the search for it does. */
  readonly isElsewhere?: boolean;
}

/** How long a device that is called like the beginning of another one's UUID gets to say so. */
const namesakeMs = 400;

/** Finds out where the device is that a user means; see `parseDeviceTarget` for what that can be, besides UUIDs and aliases. */
export async function resolveDevice(text: string, options: ResolveOptions): Promise<ResolvedDevice> {
  const { signal, progress, inventory = new Inventory(progress) } = options;
  const target = parseDeviceTarget(text);
  if (target.address !== undefined && options.isElsewhere !== true) {
    return resolved(target, undefined, { addresses: [target.address] });
  }
  const { known, candidates, first } = await knownDevices(target.name, inventory, signal);
  const distant = { name: target.name, uuid: known?.uuid ?? givenUuid(target.name) };
  if (options.isElsewhere === true) {
    const route = await options.findRoute?.(distant, signal);
    if (route === undefined) throw deviceNotFound(target.name, first);
    return resolved(target, known, { addresses: [route.address], route });
  }
  // What the user calls a device here says nothing of what others call theirs.
  const findRoute = known?.uuid === null ? undefined : options.findRoute;
  const readHostKey = (address: string) =>
    options.readHostKey?.(address, first?.sshPort ?? 22222) ?? Promise.resolve(undefined);
  const look = async (find: (signal: AbortSignal) => Promise<FoundPlaces>): Promise<ResolvedDevice | undefined> => {
    const elsewhere = new RouteSearch(findRoute, distant, { signal, progress });
    try {
      const { asked, last } = await find(elsewhere.nearSignal);
      const place = await tellPlaces({ name: target.name, places: asked, candidates, readHostKey });
      if (signal.aborted) throw interrupted();
      if (place !== undefined) return resolved(target, known ?? place.device, place);
      if (last !== undefined) {
        if (known !== undefined && !isProvable(known)) {
          await requireNobodyElse(target.name, known, last, signal);
          const text = `${target.name} does not answer by its name; trying ${last}, where it was last seen`;
          progress({ type: 'notice', level: 'warning', text });
        }
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
    known === undefined ? askByName : (until) => findKnownAgain(target.name, known, options.knockPort, until),
  );
  if (found === undefined) throw deviceNotFound(target.name, first);
  return found;
}

/** What davit knows of the devices that a word can mean. */
interface KnownDevices {
  /** All of them: one, or several of this host name. */
  readonly candidates: readonly KnownDevice[];
  readonly first: KnownDevice | undefined;
  /** The first, if it is the only one. */
  readonly known: KnownDevice | undefined;
}

/** Looks a word up among the known devices. Fails when it can mean several that nothing in the network will tell apart. */
async function knownDevices(word: string, inventory: Inventory, signal: AbortSignal): Promise<KnownDevices> {
  const remembered = matchingDevices(await inventory.readIfPossible(), word);
  const isHostName = isOnlyBeginning(remembered, word) && (await isAnswered(word, signal));
  const candidates = isHostName ? [] : remembered;
  const [first, ...others] = candidates;
  if (others.length > 0 && candidates.some(({ hostname }) => hostname !== bareHostname(word))) {
    throw ambiguousDevice(word, candidates);
  }
  return { candidates, first, known: others.length > 0 ? undefined : first };
}

/** Whether a device of this host name is in the network now. */
async function isAnswered(hostname: string, signal: AbortSignal): Promise<boolean> {
  const search = limit(signal, namesakeMs);
  try {
    return (await multicastAddresses(`${hostname}.local`, search.signal)).length > 0;
  } finally {
    search.end();
  }
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
    isWhoeverIsThere: known === undefined || known.hostname === bareHostname(name),
    addresses,
    user,
    sshPort: port,
    announcedSshPort: known?.sshPort,
    lookAgain: undefined,
    route,
  };
}

/** The host name that a device has which was asked for by a name, unless that is one of the DNS, of this computer, or a UUID. */
function ownHostname(name: string, address: string | undefined): string | undefined {
  const bare = bareHostname(name);
  return address !== undefined || bare.includes('.') || bare === 'localhost' || givenUuid(bare) !== undefined
    ? undefined
    : bare;
}
