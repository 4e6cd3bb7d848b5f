import { Inventory } from '../discovery/inventory.js';
import { bareHostname } from '../discovery/known-device.js';
import { isLoopback } from '../discovery/network-links.js';
import { noteSighting, recognise, type Sighting } from '../discovery/note-sighting.js';
import type { ResolvedDevice } from '../discovery/resolve.js';
import { Failure } from '../failure/failure.js';
import type { ProgressListener } from '../platform/progress.js';
import { HostKeyStore, pinnedName } from '../ssh/host-key-store.js';
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

/** A device that was given another host name. */
export interface Renaming {
  /** By what it is recognised besides its name. */
  readonly device: Pick<Sighting, 'uuid' | 'engineId' | 'hostKey'>;
  readonly from: string;
  readonly to: string;
  readonly sshPort: number | undefined;
  readonly progress: ProgressListener;
}

/** Remembers a device by another host name, and pins its host key under that. What it fails with is only warned about. */
export async function rememberRenaming({ device, from, to, sshPort, progress }: Renaming): Promise<void> {
  const [before, hostname] = [bareHostname(from), bareHostname(to)];
  await new Inventory(progress).changeIfPossible((devices) => {
    const known = recognise(devices, { ...device, hostname: before });
    if (known !== undefined) return devices.map((one) => (one === known ? { ...known, hostname } : one));
    return noteSighting(devices, { ...device, hostname }, { at: new Date().toISOString() });
  });
  try {
    const [port, store] = [sshPort ?? deviceSshPort, new HostKeyStore()];
    await store.rename(device.uuid, pinnedName(before, port), pinnedName(hostname, port));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    progress({ type: 'notice', level: 'warning', text: error.message });
  }
}
