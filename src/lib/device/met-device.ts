import { ambiguousDevice, matchingDevices } from '../discovery/find-known-device.js';
import { type KnownDevice, unknownDevice } from '../discovery/known-device.js';
import { Failure } from '../failure/failure.js';
import { type PinnedDevice, pinnedName } from '../ssh/host-key-store.js';
import { deviceSshPort } from '../ssh/open-ssh.js';

/** The device with a pinned key that a word means, by what davit knows of devices and by the names that the key is pinned under. */
export function metDevice(word: string, pinned: readonly PinnedDevice[], known: readonly KnownDevice[]): PinnedDevice {
  const matches = matchingDevices(known, word);
  if (matches.length > 1) throw ambiguousDevice(word, matches);
  const uuid = matches[0]?.uuid ?? undefined;
  const name = pinnedName(word, deviceSshPort);
  const ways: readonly ((device: PinnedDevice) => boolean)[] = [
    (one) => uuid !== undefined && one.uuid === uuid,
    (one) => one.uuid === name || one.names.includes(name),
    (one) => one.names.some((other) => other.startsWith(`[${name}]:`)),
    (one) => /^[0-9a-f]{7,}$/.test(name) && one.uuid?.startsWith(name) === true,
  ];
  const [found, ...others] = ways.map((isMeant) => pinned.filter(isMeant)).find((some) => some.length > 0) ?? [];
  if (found === undefined) {
    throw new Failure('not-found', 'device-not-met', `davit has never connected to ${word}`, {
      hint: `Do so once, so that its host key is known: davit ssh ${word} -- true`,
    });
  }
  if (others.length > 0) {
    const candidates = [found, ...others].map((one) => ({
      ...unknownDevice,
      uuid: one.uuid ?? null,
      hostname: one.names[0] ?? null,
    }));
    throw ambiguousDevice(word, candidates);
  }
  return found;
}
