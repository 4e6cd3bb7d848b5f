import type { PartialFacts } from './device-facts.js';
import { mergeFacts } from './device-facts.js';
import type { AnnouncedDevice } from './device-records.js';
import { isOtherDevice, type SeenDevice } from './found-device.js';
import { type ProbedFacts, withLoginFacts } from './probe-device.js';

/** One place at which a device is: the addresses at which one name, or none, was found on links that have one of them in common. */
export interface Presence {
  readonly number: number;
  device: Omit<AnnouncedDevice, 'hostname'> & { readonly hostname: string | null };
  facts: ProbedFacts | undefined;
  login: PartialFacts;
  hostKey: Promise<string | undefined> | undefined;
  hostKeyRead: string | undefined;
  isTellable: boolean;
  heardAt: number;
}

/** A place of which nothing is known yet but where it is. */
export function newPresence(number: number, device: Presence['device']): Presence {
  return {
    number,
    device,
    facts: undefined,
    login: {},
    hostKey: undefined,
    hostKeyRead: undefined,
    isTellable: false,
    heardAt: performance.now(),
  };
}

/** Whether what a host name stands for now is a place at which it was before. */
export function isSamePlace(one: Presence['device'], other: AnnouncedDevice): boolean {
  return (
    one.interfaces.some((name) => other.interfaces.includes(name)) ||
    one.addresses.some((address) => other.addresses.includes(address))
  );
}

/** What is known of a place, with the number that it keeps. */
export interface NumberedSight {
  readonly number: number;
  readonly seen: SeenDevice;
}

/** The places of a name that can be told of, those together that nothing proves to be different devices. */
export function toldTogether(presences: readonly Presence[]): [NumberedSight, ...NumberedSight[]][] {
  const groups: [NumberedSight, ...NumberedSight[]][] = [];
  const tellable = presences.filter((one) => one.isTellable);
  for (const { number, device, facts, login, hostKeyRead } of tellable.sort((a, b) => a.number - b.number)) {
    const known = withLoginFacts(facts ?? mergeFacts([]), login);
    const sight = { number, seen: { ...device, hostKey: hostKeyRead, facts: known } };
    const group = groups.find(([first]) => !isOtherDevice(first.seen, sight.seen));
    if (group === undefined) groups.push([sight]);
    else group.push(sight);
  }
  return groups;
}
