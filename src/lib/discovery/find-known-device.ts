import { Failure } from '../failure/failure.js';
import { bareHostname, type KnownDevice, nameOf } from './known-device.js';

/** Shorter beginnings of a UUID are not taken for one. */
const shortestPrefix = 3;

const shortUuidLength = 7;

/**
 * The known devices that a word means: the one with this alias, else with this UUID, else those with this host name, else those whose UUID
 * begins so. Several have the same host name, or the beginning is not enough.
 */
export function matchingDevices(devices: readonly KnownDevice[], word: string): readonly KnownDevice[] {
  const lower = word.toLowerCase();
  const isPrefix = lower.length >= shortestPrefix && /^[0-9a-f]+$/.test(lower);
  const ways: readonly ((device: KnownDevice) => boolean)[] = [
    ({ aliases }) => aliases.some((alias) => alias.toLowerCase() === lower),
    ({ uuid }) => uuid === lower,
    ({ hostname }) => hostname === bareHostname(word),
    ({ uuid }) => isPrefix && uuid?.startsWith(lower) === true,
  ];
  return ways.map((isMeant) => devices.filter(isMeant)).find((found) => found.length > 0) ?? [];
}

/**
 * Whether a word means devices by nothing but the beginning of a UUID, so that a device that davit does not know may have it as its host name.
 * The short UUID is what devices themselves are called.
 */
export function isOnlyBeginning(matches: readonly KnownDevice[], word: string): boolean {
  const lower = word.toLowerCase();
  return matches.some(
    ({ uuid, aliases, hostname }) =>
      uuid?.startsWith(lower) === true &&
      uuid !== lower &&
      uuid.slice(0, shortUuidLength) !== lower &&
      hostname !== lower &&
      !aliases.some((alias) => alias.toLowerCase() === lower),
  );
}

/** The one known device that a word or an address means. Fails as not found, or when it means several. */
export function findKnownDevice(devices: readonly KnownDevice[], word: string): KnownDevice {
  const named = matchingDevices(devices, word);
  const found = named.length > 0 ? named : devices.filter(({ addresses }) => addresses.includes(word));
  const [first, ...others] = found;
  if (first === undefined) {
    throw new Failure('not-found', 'device-unknown', `davit knows no device called ${word}`, {
      hint: 'davit device list shows those it knows; davit scan finds more',
    });
  }
  if (others.length > 0) throw ambiguousDevice(word, found);
  return first;
}

/** The failure that tells which devices a word could mean. */
export function ambiguousDevice(word: string, candidates: readonly KnownDevice[]): Failure {
  const lines = candidates.map((device) => `  ${describeDevice(device)}`);
  return new Failure(
    'usage',
    'device-ambiguous',
    `${word} can mean ${candidates.length} devices:\n${lines.join('\n')}`,
    {
      hint: 'Give more of the UUID or an address, or name one: davit device alias <device> <name>',
    },
  );
}

function describeDevice(device: KnownDevice): string {
  const { uuid, addresses } = device;
  return [
    nameOf(device),
    uuid === null ? [] : `UUID ${uuid}`,
    addresses[0] === undefined ? [] : `last at ${addresses[0]}`,
  ]
    .flat()
    .join(', ');
}
