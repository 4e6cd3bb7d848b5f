import { Inventory } from '../discovery/inventory.js';
import { isDeviceAddress } from '../discovery/network-links.js';
import { noteSighting, recognise } from '../discovery/note-sighting.js';
import type { ResolvedDevice } from '../discovery/resolve.js';
import type { ProgressListener } from '../platform/progress.js';
import type { SshConnection } from '../ssh/ssh-connection.js';

/** A device that let us in, and where. */
export interface Meeting {
  readonly found: ResolvedDevice;
  /** Undefined when the way to it leads through another host, from where the address has its meaning. */
  readonly address: string | undefined;
  readonly sshPort: number | undefined;
  readonly connection: Pick<SshConnection, 'hostKey' | 'uuid'>;
  readonly progress: ProgressListener;
}

/** How long a device is known to have been seen just now, without writing that down again for each of many commands. */
const freshMs = 10 * 60 * 1000;

/** Remembers that a device was met at an address and by which host key it proved who it is. What it fails with is only warned about. */
export async function rememberMeeting({ found, address, sshPort, connection, progress }: Meeting): Promise<void> {
  const now = new Date();
  // What is on this computer is the end of a tunnel, or this computer.
  const isPlace = address !== undefined && isDeviceAddress(address);
  const sighting = {
    uuid: connection.uuid ?? found.uuid,
    hostname: found.hostname,
    hostKey: connection.hostKey,
    ...(isPlace ? { addresses: [address], sshPort } : {}),
  };
  await new Inventory(progress).changeIfPossible((devices) => {
    const known = recognise(devices, sighting);
    const isFresh = known !== undefined && known.seenAt !== null && now.getTime() - Date.parse(known.seenAt) < freshMs;
    const isSame =
      known?.hostKey === sighting.hostKey &&
      (sighting.uuid === undefined || known?.uuid === sighting.uuid) &&
      (!isPlace || known?.addresses.includes(address) === true);
    return isFresh && isSame ? devices : noteSighting(devices, sighting, { at: now.toISOString() });
  });
}
