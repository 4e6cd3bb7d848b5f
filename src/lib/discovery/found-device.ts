import type { DeviceFacts } from './device-facts.js';
import type { AnnouncedDevice } from './device-records.js';
import { type KnownDevice, nameOf, shortUuidOf } from './known-device.js';
import { recognise, type Sighting } from './note-sighting.js';
import type { ProbedFacts } from './probe-device.js';

/** A device in the network: what it announced, what it says about itself, and what davit knew of it. */
export interface FoundDevice extends DeviceFacts {
  /** `63ec46c.local`; null when it was found by its address and does not say. */
  readonly hostname: string | null;
  /** The first seven digits of the UUID, also where only these are known from the host name. */
  readonly shortUuid: string | null;
  /** `6.8.1` */
  readonly osVersion: string | null;
  readonly sshPort: number;
  /** Best first, at least one; link-local IPv6 addresses with `%zone`. */
  readonly addresses: readonly string[];
  /** Interfaces of this computer that lead to it. */
  readonly interfaces: readonly string[];
  /** Fingerprint of its SSH host key, where that was needed to tell it from another of its name. */
  readonly hostKey: string | null;
  /** What davit knew before; null when it was never seen. */
  readonly known: SeenBefore | null;
}

/** What has happened to a device in the network. */
export interface DeviceChange {
  readonly type: 'found' | 'changed' | 'lost';
  /** Which device: the same number from when it was found until it is lost. */
  readonly id: number;
  readonly device: FoundDevice;
}

/** What davit knew of a device before it was found again. */
export interface SeenBefore {
  /** Its alias, or what it called itself. */
  readonly name: string;
  readonly aliases: readonly string[];
  readonly uuid: string | null;
  /** ISO 8601; null for one that was only flashed. */
  readonly seenAt: string | null;
}

/** A device as it is heard and seen, before anything is made of it. */
export interface SeenDevice extends Omit<AnnouncedDevice, 'hostname'> {
  readonly hostname: string | null;
  readonly hostKey: string | undefined;
  readonly facts: ProbedFacts;
}

/** What is found where several sights are the same device, put together with what was known. */
export function foundDevice(
  sights: readonly [SeenDevice, ...SeenDevice[]],
  inventory: readonly KnownDevice[],
): FoundDevice {
  const [first] = sights;
  const { facts } = first;
  const sighting = sightingOf(sights);
  const known = recognise(inventory, sighting);
  return {
    uuid: facts.uuid,
    mode: facts.mode,
    os: facts.os,
    osVariant: facts.osVariant,
    deviceType: facts.deviceType,
    architecture: facts.architecture,
    engineVersion: facts.engineVersion,
    supervisorVersion: facts.supervisorVersion,
    isFlasher: facts.isFlasher,
    openPorts: [...new Set(sights.flatMap((one) => one.facts.openPorts))],
    hostname: first.hostname,
    shortUuid: shortUuidOf({ uuid: facts.uuid, hostname: first.hostname?.replace(/\.local$/, '') ?? null }) ?? null,
    osVersion: /\d+\.\d+\.\d+\S*/.exec(facts.os ?? '')?.[0] ?? null,
    sshPort: first.sshPort,
    addresses: sighting.addresses,
    interfaces: [...new Set(sights.flatMap((one) => one.interfaces))].sort(),
    hostKey: first.hostKey ?? null,
    known:
      known === undefined
        ? null
        : { name: nameOf(known), aliases: known.aliases, uuid: known.uuid, seenAt: known.seenAt },
  };
}

/** What is to be remembered of a device. */
export function sightingOf(
  sights: readonly [SeenDevice, ...SeenDevice[]],
): Sighting & { readonly addresses: readonly string[] } {
  const [first] = sights;
  const { uuid, engineId, deviceType } = first.facts;
  return {
    uuid: uuid ?? undefined,
    hostname: first.hostname ?? undefined,
    addresses: [...new Set(sights.flatMap((one) => one.addresses))],
    sshPort: first.sshPort,
    hostKey: first.hostKey,
    engineId,
    deviceType: deviceType ?? undefined,
  };
}

/** Whether something proves that two sights of one host name are different devices. */
export function isOtherDevice(one: SeenDevice, other: SeenDevice): boolean {
  const differ = (a: string | null | undefined, b: string | null | undefined) =>
    a !== null && a !== undefined && b !== null && b !== undefined && a !== b;
  return (
    differ(one.hostKey, other.hostKey) ||
    differ(one.facts.uuid, other.facts.uuid) ||
    differ(one.facts.engineId, other.facts.engineId)
  );
}
