import { limit } from '../platform/limit.js';
import { waitAtMost } from '../platform/wait.js';
import type { KnownDevice } from './known-device.js';
import { lookUpName, networkName } from './look-up-name.js';
import { isLoopback } from './network-links.js';
import { answeringAddress } from './reachable-address.js';

const limitMs = 5000;

/** How long a device that is still where it was gets to answer before the network is asked for it. */
const rememberedHeadStartMs = 60;

/** Where a device may be. */
export interface FoundPlaces {
  /** The addresses of each place at which its name was answered for. */
  asked: readonly (readonly string[])[];
  /** The address at which it was last seen, if something answers there. */
  last: string | undefined;
}

/**
 * Looks for a known device at its name and where it was last seen at once. Where a host key or an engine proves who it is, the first answer
 * counts; without, the name does, and the last address is only used when nothing else answers.
 */
export async function findKnownAgain(
  name: string,
  known: KnownDevice,
  knockPort: number,
  signal: AbortSignal,
): Promise<FoundPlaces> {
  const { addresses, sshPort } = known;
  // The port of SSH comes second: a server that is knocked at makes a note of it.
  const ports = isForwarded(known) ? [sshPort] : [knockPort, sshPort];
  const isSure = isProvable(known);
  const found: FoundPlaces = { asked: [], last: undefined };
  const search = limit(signal, limitMs);
  await Promise.all([
    answeringAddress(addresses, ports, search.signal).then((address) => {
      if (address === undefined) return;
      found.last = address;
      if (isSure) search.end();
    }),
    waitAtMost(isSure && addresses.length > 0 ? rememberedHeadStartMs : 0, search.signal)
      .then(() => lookUpName(networkName(name, known), search.signal))
      .then((places) => {
        found.asked = places;
        if (places.length > 0) search.end();
      }),
  ]);
  search.end();
  return found;
}

/** Whether a device can show that it is the one that was met. */
export function isProvable({ hostKey, engineId }: KnownDevice): boolean {
  return hostKey !== null || engineId !== null;
}

/** Whether a device was last seen behind a port of this computer, as a virtual one or through somebody's tunnel. */
export function isForwarded({ addresses }: KnownDevice): boolean {
  return addresses.some(isLoopback);
}
