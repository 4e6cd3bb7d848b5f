import { Inventory } from '../discovery/inventory.js';
import { isLoopback } from '../discovery/network-links.js';
import { noteSighting, recognise } from '../discovery/note-sighting.js';
import type { ResolvedDevice } from '../discovery/resolve.js';
import type { ProgressListener } from '../platform/progress.js';
import { deviceSshPort } from '../ssh/open-ssh.js';
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
  const who = { uuid: connection.uuid ?? found.uuid, hostname: found.hostname, hostKey: connection.hostKey };
  const where = address === undefined ? undefined : { addresses: [address], sshPort: sshPort ?? deviceSshPort };
  await new Inventory(progress).changeIfPossible((devices) => {
    const known = recognise(devices, { ...who, ...where });
    // A port of this computer is where a virtual device is, or else the end of somebody's tunnel to a device that has an address.
    const isForwarded = address !== undefined && isLoopback(address);
    const isElsewhere = known?.addresses.some((one) => !isLoopback(one)) === true;
    const place = isForwarded && isElsewhere ? undefined : where;
    const isFresh = known !== undefined && known.seenAt !== null && now.getTime() - Date.parse(known.seenAt) < freshMs;
    const isSame =
      known?.hostKey === who.hostKey &&
      (who.uuid === undefined || known?.uuid === who.uuid) &&
      (place === undefined ||
        (known?.sshPort === place.sshPort && place.addresses.every((one) => known.addresses.includes(one))));
    return isFresh && isSame ? devices : noteSighting(devices, { ...who, ...place }, { at: now.toISOString() });
  });
}
