import { ambiguousDevice } from './find-known-device.js';
import { bareHostname, type KnownDevice, unknownDevice } from './known-device.js';

/** Where a name is: the addresses of one device, and which device that is, as far as davit knows. */
export interface Place {
  readonly addresses: readonly [string, ...string[]];
  readonly device: KnownDevice | undefined;
}

/** What a name stands for. */
export interface NamedPlaces {
  readonly name: string;
  /** The addresses of each place at which the name was answered for; see `DeviceRecords.placesOf`. */
  readonly places: readonly (readonly string[])[];
  /** The known devices that can be meant: one, or all of this host name. */
  readonly candidates: readonly KnownDevice[];
  /** Reads the fingerprint of a host key. */
  readonly readHostKey: (address: string) => Promise<string | undefined>;
}

/**
 * Decides which place is meant when a name is answered for, undefined when it is nowhere. One device may be in several networks; different
 * host keys show that the name stands for several devices, of which the one that davit knows is meant, or else none: then it fails.
 */
export async function tellPlaces({ name, places, candidates, readHostKey }: NamedPlaces): Promise<Place | undefined> {
  const keys = places.length > 1 ? await Promise.all(places.map(([best = '']) => readHostKey(best))) : [];
  const told: { addresses: readonly string[]; key: string | undefined }[] = [];
  for (const [index, addresses] of places.entries()) {
    const key = keys[index];
    const at = told.findIndex((one) => key === undefined || one.key === undefined || one.key === key);
    const same = told[at];
    if (same === undefined) told.push({ addresses, key });
    else told[at] = { addresses: [...same.addresses, ...addresses], key: same.key ?? key };
  }
  const sure = told.map(({ addresses, key }) => ({ addresses, device: ownerOf(addresses, key, candidates) }));
  const known = sure.filter(({ device }) => device !== undefined);
  const meant = candidates.length === 1 && known.length === 1 ? known : sure;
  if (meant.length > 1) {
    const found = sure.map(({ addresses, device = unknownDevice }) => ({
      ...device,
      hostname: bareHostname(name),
      addresses,
    }));
    throw ambiguousDevice(name, found);
  }
  const [first, ...rest] = meant[0]?.addresses ?? [];
  return first === undefined ? undefined : { addresses: [first, ...rest], device: meant[0]?.device };
}

/** Which of some known devices is at a place, by its host key or, where that tells nothing, by where it was last. */
function ownerOf(
  addresses: readonly string[],
  key: string | undefined,
  candidates: readonly KnownDevice[],
): KnownDevice | undefined {
  const byKey = candidates.filter(({ hostKey }) => key !== undefined && hostKey === key);
  const there = candidates.filter((one) => one.addresses.some((address) => addresses.includes(address)));
  const possible = byKey.length > 0 ? byKey : there.filter(({ hostKey }) => key === undefined || hostKey === null);
  return possible.length === 1 ? possible[0] : undefined;
}
