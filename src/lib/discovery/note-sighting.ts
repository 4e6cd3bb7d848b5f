import { bareHostname, type KnownDevice, shortUuidOf, unknownDevice } from './known-device.js';

/** What was learned of a device at one moment. What is left out was not learned. */
export interface Sighting {
  readonly uuid?: string | undefined;
  /** With or without `.local`. */
  readonly hostname?: string | undefined;
  readonly addresses?: readonly string[] | undefined;
  readonly sshPort?: number | undefined;
  readonly hostKey?: string | undefined;
  readonly engineId?: string | undefined;
  readonly deviceType?: string | undefined;
}

/** Something that was seen, and when. */
export interface SightingMoment {
  /** ISO 8601. */
  readonly at: string;
}

/**
 * The devices after one has been seen, the latest first. Who it is follows from its UUID, else from its host key or engine, else from
 * its host name; where several of the same name are known and nothing tells which of them it is, all stay as they are.
 */
export function noteSighting(
  devices: readonly KnownDevice[],
  sighting: Sighting,
  { at }: SightingMoment,
): readonly KnownDevice[] {
  const hostname = sighting.hostname === undefined ? undefined : bareHostname(sighting.hostname);
  const seen = { ...sighting, hostname };
  const same = sameDevices(devices, seen);
  if (same === undefined) return devices;
  const before = same.reduce(merged, unknownDevice);
  const hasNewKey = seen.hostKey !== undefined && before.hostKey !== null && seen.hostKey !== before.hostKey;
  const device: KnownDevice = {
    ...before,
    uuid: seen.uuid ?? before.uuid,
    hostname: hostname ?? before.hostname,
    addresses:
      seen.addresses !== undefined && seen.addresses.length > 0 ? seen.addresses.slice(0, 8) : before.addresses,
    sshPort: seen.sshPort ?? before.sshPort,
    hostKey: seen.hostKey ?? before.hostKey,
    // A system that makes a new key makes a new engine as well.
    engineId: seen.engineId ?? (hasNewKey ? null : before.engineId),
    deviceType: seen.deviceType ?? before.deviceType,
    seenAt: at,
  };
  // An address alone is nobody.
  if (!isStillKnown(device)) return devices;
  const others = devices.filter((one) => !same.includes(one)).flatMap((one) => replacedBy(device, one));
  return [device, ...others];
}

/**
 * The devices after a card has been written for one. It makes a new host key when it boots, and a new UUID unless it was given one, so
 * whatever had the name before is no longer called so.
 */
export function noteFlashed(
  devices: readonly KnownDevice[],
  flashed: { readonly uuid?: string | undefined; readonly hostname?: string | undefined },
  { at }: SightingMoment,
): readonly KnownDevice[] {
  const { uuid = null } = flashed;
  const hostname = flashed.hostname === undefined ? null : bareHostname(flashed.hostname);
  const before = uuid === null ? undefined : devices.find((one) => one.uuid === uuid);
  const device: KnownDevice = {
    ...(before ?? unknownDevice),
    uuid,
    hostname: hostname ?? uuid?.slice(0, 7) ?? null,
    hostKey: null,
    engineId: null,
    flashedAt: at,
  };
  const others = devices
    .filter((one) => one !== before)
    .map((one) => (hostname !== null && one.hostname === hostname ? { ...one, hostname: null } : one))
    .filter(isStillKnown);
  return [device, ...others];
}

/** The known device that was seen, if it is one and that can be told. */
export function recognise(devices: readonly KnownDevice[], sighting: Sighting): KnownDevice | undefined {
  const hostname = sighting.hostname === undefined ? undefined : bareHostname(sighting.hostname);
  return sameDevices(devices, { ...sighting, hostname })?.[0];
}

/** What of the known devices is the one that was seen, the surest first; none when it is new, undefined when that cannot be told. */
function sameDevices(devices: readonly KnownDevice[], seen: Sighting): readonly KnownDevice[] | undefined {
  const byUuid = seen.uuid === undefined ? [] : devices.filter((one) => one.uuid === seen.uuid);
  const nameless = devices.filter((one) => isPossible(one, seen));
  const byProof = nameless.filter(
    (one) =>
      (seen.hostKey !== undefined && one.hostKey === seen.hostKey) ||
      (seen.engineId !== undefined && one.engineId === seen.engineId),
  );
  if (byUuid.length > 0 || byProof.length > 0) return [...byUuid, ...byProof];
  const byName = nameless.filter((one) => hasNameOf(one, seen));
  if (byName.length < 2) return byName;
  const there = byName.filter((one) => one.addresses.some((address) => seen.addresses?.includes(address)));
  return there.length === 1 ? there : undefined;
}

/** Whether nothing says that a known device is another one than the one that was seen. */
function isPossible(device: KnownDevice, seen: Sighting): boolean {
  const differs = (known: string | null, now: string | undefined) =>
    known !== null && now !== undefined && known !== now;
  return (
    !differs(device.uuid, seen.uuid) &&
    !differs(device.hostKey, seen.hostKey) &&
    !differs(device.engineId, seen.engineId)
  );
}

/** What was known under two names and turns out to be one device; what the first says counts. */
function merged(first: KnownDevice, second: KnownDevice): KnownDevice {
  return {
    uuid: first.uuid ?? second.uuid,
    aliases: [...new Set([...first.aliases, ...second.aliases])],
    hostname: first.hostname ?? second.hostname,
    addresses: first.addresses.length > 0 ? first.addresses : second.addresses,
    sshPort: second.sshPort,
    hostKey: first.hostKey ?? second.hostKey,
    engineId: first.engineId ?? second.engineId,
    deviceType: first.deviceType ?? second.deviceType,
    seenAt: first.seenAt ?? second.seenAt,
    flashedAt: first.flashedAt ?? second.flashedAt,
  };
}

function hasNameOf(device: KnownDevice, seen: Sighting): boolean {
  if (seen.hostname !== undefined && device.hostname === seen.hostname) return true;
  const short = shortUuidOf({ uuid: seen.uuid ?? null, hostname: seen.hostname ?? null });
  return short !== undefined && (device.hostname === short || device.uuid?.slice(0, 7) === short);
}

/** What is left of another device of the same name at the same address, in whose place a device was seen: no two are there at once. */
function replacedBy(seen: KnownDevice, other: KnownDevice): KnownDevice[] {
  const isReplaced =
    other.hostname !== null &&
    other.hostname === seen.hostname &&
    other.addresses.some((address) => seen.addresses.includes(address));
  if (!isReplaced) return [other];
  const left = { ...other, hostname: null, addresses: [] };
  return isStillKnown(left) ? [left] : [];
}

function isStillKnown(device: KnownDevice): boolean {
  return device.uuid !== null || device.hostname !== null || device.aliases.length > 0;
}
